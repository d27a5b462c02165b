//! What a step does and costs, in virtual time.

use std::time::Duration;

use super::*;
use crate::simulated::CostModel;

fn planner_with(edit: impl FnOnce(&mut SimulatedConfig)) -> Box<dyn Planner> {
    let cost = CostModel {
        prefill_tokens_per_second: 1000.0,
        decode_step_ms: 10.0,
        decode_ms_per_sequence: 1.0,
        mixed_ms_per_sequence: 0.0,
    };
    let mut config = SimulatedConfig { cost, ..SimulatedConfig::default() };
    edit(&mut config);
    config.validate().expect("the test's configuration is allowed");
    planner(&config)
}

fn job(key: Key, prompt_tokens: u32) -> Job {
    Job { key, prompt_tokens, cached_tokens: 0, max_new_tokens: 10 }
}

fn step(ms: u64, begun: &[Key], produced: &[Key]) -> Option<Step> {
    Some(Step { duration: Duration::from_millis(ms), begun: begun.into(), produced: produced.into() })
}

#[test]
fn other_sequences_decode_between_the_chunks_of_a_long_prompt() {
    let mut planner = planner_with(|config| config.prefill = Prefill::Chunked { tokens: 100 });
    planner.submit(job(1, 20));
    assert_eq!(planner.next_step(), step(20, &[1], &[1]));
    planner.submit(job(2, 150));
    assert_eq!(planner.next_step(), step(111, &[2], &[1]));
    assert_eq!(planner.next_step(), step(61, &[], &[1, 2]));
    assert_eq!(planner.next_step(), step(12, &[], &[1, 2]));
}

#[test]
fn no_sequence_decodes_during_a_blocking_prefill() {
    let mut planner = planner_with(|config| config.prefill = Prefill::Blocking);
    planner.submit(job(1, 20));
    planner.submit(job(2, 150));
    assert_eq!(planner.next_step(), step(20, &[1, 2], &[1]));
    assert_eq!(planner.next_step(), step(150, &[], &[2]));
    assert_eq!(planner.next_step(), step(12, &[], &[1, 2]));
}

#[test]
fn cached_tokens_need_no_prefill() {
    let mut planner = planner_with(|_| {});
    planner.submit(Job { cached_tokens: 90, ..job(1, 100) });
    assert_eq!(planner.next_step(), step(10, &[1], &[1]));
}

#[test]
fn slots_and_kv_cache_are_limits() {
    let mut planner = planner_with(|config| {
        config.context_length = 64;
        config.kv_capacity_tokens = 64;
        config.max_sequences = 2;
    });
    for key in 1..=4 {
        planner.submit(job(key, if key == 4 { 40 } else { 10 }));
    }
    assert_eq!(planner.next_step(), step(20, &[1, 2], &[1, 2]));
    planner.remove(1);
    assert_eq!(planner.next_step(), step(21, &[3], &[2, 3]));
    planner.remove(2);
    // 50 more tokens do not fit in addition to 20.
    assert_eq!(planner.next_step(), step(11, &[], &[3]));
    planner.remove(3);
    assert_eq!(planner.next_step(), step(40, &[4], &[4]));
    planner.remove(4);
    assert_eq!(planner.next_step(), None);
}

#[test]
fn a_stalled_sequence_keeps_its_slot_and_takes_no_step() {
    for batching in [Batching::Ragged, Batching::EqualLength] {
        let mut planner = planner_with(|config| {
            config.batching = batching;
            config.prefill = Prefill::Blocking;
            config.max_sequences = 2;
        });
        planner.submit(job(1, 10));
        assert_eq!(planner.next_step(), step(10, &[1], &[1]));
        planner.stall(1);
        assert_eq!(planner.next_step(), None);
        planner.submit(job(2, 10));
        planner.submit(job(3, 10));
        if batching == Batching::Ragged {
            assert_eq!(planner.next_step(), step(10, &[2], &[2]));
        } else {
            assert_eq!(planner.next_step(), step(20, &[2, 3], &[2, 3]));
        }
        for key in 1..=3 {
            planner.remove(key);
        }
        assert_eq!(planner.next_step(), None);
    }
}

#[test]
fn sequences_of_different_length_alternate() {
    let mut planner = planner_with(|config| {
        config.batching = Batching::EqualLength;
        config.prefill = Prefill::Blocking;
    });
    planner.submit(job(1, 10));
    planner.submit(job(2, 20));
    planner.submit(job(3, 10));
    // The shortest run first; then the two outweigh the one until it is urgent.
    assert_eq!(planner.next_step(), step(20, &[1, 3], &[1, 3]));
    assert_eq!(planner.next_step(), step(12, &[], &[1, 3]));
    let turn = (0..10).position(|_| planner.next_step().is_some_and(|step| step.produced == [2]));
    assert!(turn.is_some_and(|turn| turn < 5), "the longer sequence starves");
}
