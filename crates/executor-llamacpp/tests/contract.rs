//! The contract suite on a real model.

mod support;

use hostler_executor::contract::{ContractOptions, run_all};

#[test]
fn the_engine_passes_the_contract_suite() {
    let Some(factory) = support::factory("the contract suite") else { return };
    let report = run_all(&factory, &ContractOptions::default()).expect("the model loads");
    eprintln!("{report}");
    report.assert_passed();
}
