//! The contract suite on a real model.

mod support;

use std::time::Duration;

use hostler_executor::contract::{ContractOptions, run_all};
use hostler_executor_mistralrs::MistralrsFactory;

#[test]
fn the_engine_passes_the_contract_suite() {
    let Some(config) = support::config("the contract suite") else { return };
    // On a CPU, this engine runs one sequence at a time, with a prefill of about a hundred
    // tokens per second, so it needs fewer requests and more patience.
    let options =
        ContractOptions { short_requests: 60, patience: Duration::from_secs(120), ..ContractOptions::default() };
    let report = run_all(&MistralrsFactory::new(config), &options).expect("the model loads");
    eprintln!("{report}");
    report.assert_passed();
}
