//! The contract that every engine keeps, on the real model.

mod support;

use hostler_executor::contract::{ContractOptions, run_all};
use hostler_executor_mistralrs::MistralrsFactory;

#[test]
fn the_contract_is_kept() {
    let Some(config) = support::config("the contract") else { return };
    let report = run_all(&MistralrsFactory::new(config), &ContractOptions::default()).expect("the model loads");
    eprintln!("{report}");
    report.assert_kept();
}
