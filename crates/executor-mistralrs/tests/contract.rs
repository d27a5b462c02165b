//! The contract that every engine keeps, on the real model.

mod support;

use std::time::Duration;

use hostler_executor::contract::{ContractOptions, run_all};
use hostler_executor_mistralrs::MistralrsFactory;

#[test]
fn the_contract_is_kept() {
    let Some(config) = support::config("the contract") else { return };
    // One at a time, with the prompt read at a hundred tokens a second: what others do
    // in a moment takes a while here.
    let options =
        ContractOptions { short_requests: 60, patience: Duration::from_secs(120), ..ContractOptions::default() };
    let report = run_all(&MistralrsFactory::new(config), &options).expect("the model loads");
    eprintln!("{report}");
    report.assert_kept();
}
