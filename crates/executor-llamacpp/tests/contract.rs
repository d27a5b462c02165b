//! The contract that every engine keeps, on the real model.

mod support;

use hostler_executor::contract::{ContractOptions, run_all};

#[test]
fn the_contract_is_kept() {
    let Some(factory) = support::factory("the contract") else { return };
    let report = run_all(&factory, &ContractOptions::default()).expect("the model loads");
    eprintln!("{report}");
    report.assert_kept();
}
