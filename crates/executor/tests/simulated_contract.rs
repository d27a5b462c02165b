//! The simulated engine passes the contract suite in every configuration.

use hostler_executor::contract::{ContractOptions, run_all};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{Batching, Prefill};

/// Short steps that keep the suite fast; they are above 0 so that sequences overlap.
const QUICK: CostModel = CostModel {
    prefill_tokens_per_second: 200_000.0,
    decode_step_ms: 0.2,
    decode_ms_per_sequence: 0.02,
    mixed_ms_per_sequence: 0.0,
};

fn assert_passes(config: SimulatedConfig) {
    let factory = SimulatedFactory::new("simulated", config).expect("the test's configuration is allowed");
    let report = run_all(&factory, &ContractOptions::default()).expect("it loads");
    println!("{report}");
    report.assert_passed();
    assert_eq!(factory.probe().sequences(), 0, "sequences were leaked");
}

#[test]
fn ragged_with_chunked_prefill() {
    let prefill = Prefill::Chunked { tokens: 8 };
    assert_passes(SimulatedConfig { cost: QUICK, prefill, ..SimulatedConfig::default() });
}

#[test]
fn ragged_with_a_prefix_cache_and_answers_that_end() {
    let config = SimulatedConfig { cost: QUICK, prefix_cache_tokens: 4_000, ..SimulatedConfig::default() };
    assert_passes(SimulatedConfig { eos_after: Some(11), ..config });
}

#[test]
fn equal_length_with_blocking_prefill() {
    let batching = Batching::EqualLength;
    let prefill = Prefill::Blocking;
    assert_passes(SimulatedConfig { cost: QUICK, batching, prefill, ..SimulatedConfig::default() });
}

#[test]
fn one_sequence_at_a_time() {
    let prefill = Prefill::Blocking;
    assert_passes(SimulatedConfig { cost: QUICK, max_sequences: 1, prefill, ..SimulatedConfig::default() });
}
