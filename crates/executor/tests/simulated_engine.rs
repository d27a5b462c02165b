//! The simulated engine's timing, its faults, and its release of resources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_executor::simulated::{
    CostModel, Fault, FaultKind, Faults, SequenceFault, SimulatedConfig, SimulatedFactory, SimulatedProbe,
};
use hostler_executor::{ExecutorFactory, ModelExecutor, Sequence, TokenStream};
use hostler_protocol::{ErrorCode, Finish, RequestError, TokenEvent};

/// A cost model in which a decode step takes `ms`.
fn steps_of(ms: f64) -> CostModel {
    CostModel { decode_step_ms: ms, ..CostModel::FREE }
}

fn load(config: SimulatedConfig) -> (Arc<dyn ModelExecutor>, SimulatedProbe) {
    let factory = SimulatedFactory::new("simulated", config).expect("the test's configuration is allowed");
    (factory.load(&()).expect("it loads"), factory.probe())
}

fn faulty(faults: Faults) -> (Arc<dyn ModelExecutor>, SimulatedProbe) {
    load(SimulatedConfig { cost: steps_of(1.0), faults, ..SimulatedConfig::default() })
}

fn sequence(first: u32, tokens: u32) -> Sequence {
    Sequence::greedy(vec![first, 2, 3], tokens)
}

/// Reads to the end; returns the number of tokens and the final event.
fn read(mut stream: TokenStream) -> (u32, Result<Finish, RequestError>) {
    let mut tokens = 0;
    loop {
        match stream.blocking_next_event().expect("every stream has a final event") {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(_) => tokens += 1,
            TokenEvent::Finished(finish) => return (tokens, Ok(finish)),
            TokenEvent::Failed(error) => return (tokens, Err(error)),
        }
    }
}

fn failed_with(stream: TokenStream, code: ErrorCode) {
    let (_, last) = read(stream);
    assert_eq!(last.expect_err("it must fail").code, code);
}

#[test]
fn the_average_duration_of_steps_is_exact() {
    let (engine, _) = load(SimulatedConfig { cost: steps_of(5.0), ..SimulatedConfig::default() });
    let begun = Instant::now();
    let (tokens, _) = read(engine.generate(sequence(1, 101)));
    let took = begun.elapsed();
    assert_eq!(tokens, 101);
    // The first token comes with the prefill, which is free; 100 steps follow.
    assert!(took >= Duration::from_millis(499), "100 steps of 5 ms in {took:?}");
    // Waits that were each 0.1 ms late would add 10 ms; the rest of the margin is for a
    // busy machine, which can delay the last step.
    assert!(took < Duration::from_millis(560), "100 steps of 5 ms in {took:?}");
}

#[test]
fn an_idle_engine_takes_no_steps() {
    let (engine, _) = load(SimulatedConfig::echo());
    for rounds in 1..=3 {
        read(engine.generate(sequence(1, 5))).1.expect("it finishes");
        assert_eq!(engine.progress().steps, 5 * rounds);
    }
}

#[test]
fn a_dead_engine_fails_all_sequences_and_reports_its_death() {
    for kind in [FaultKind::Fail, FaultKind::Panic] {
        let engine_fault = Some(Fault { kind, after_tokens: 20 });
        let (engine, probe) = faulty(Faults { engine: engine_fault, ..Faults::default() });
        let streams: Vec<_> = (0..50).map(|first| engine.generate(sequence(first, 100))).collect();
        for stream in streams {
            failed_with(stream, ErrorCode::EngineFailed);
        }
        assert!(!engine.progress().alive);
        failed_with(engine.generate(sequence(1, 1)), ErrorCode::EngineFailed);
        drop(engine);
        assert_eq!(probe.sequences(), 0);
    }
}

#[test]
fn a_hung_engine_is_alive_without_progress_until_it_is_dropped() {
    let engine_fault = Some(Fault { kind: FaultKind::Hang, after_tokens: 5 });
    let (engine, _) = faulty(Faults { engine: engine_fault, ..Faults::default() });
    let mut stream = engine.generate(sequence(1, 100));
    let tokens = std::iter::from_fn(|| match stream.blocking_next_event() {
        Some(TokenEvent::Started(_) | TokenEvent::Token(_)) => Some(()),
        other => panic!("a hung engine must not send {other:?}"),
    });
    // `Started` and five tokens; then nothing follows.
    assert_eq!(tokens.take(6).count(), 6);
    let steps = engine.progress().steps;
    let late = engine.generate(sequence(2, 1));
    assert!(engine.progress().alive);
    assert_eq!(engine.progress().steps, steps);
    drop(engine);
    failed_with(stream, ErrorCode::EngineFailed);
    failed_with(late, ErrorCode::EngineFailed);
}

#[test]
fn a_sequence_that_fails_does_not_affect_others() {
    let fault = SequenceFault { kind: FaultKind::Fail, after_tokens: 2, every: 3 };
    let (engine, _) = faulty(Faults { sequence: Some(fault), ..Faults::default() });
    let streams: Vec<_> = (1..=6).map(|first| engine.generate(sequence(first, 10))).collect();
    for (index, stream) in streams.into_iter().enumerate() {
        let (tokens, last) = read(stream);
        let is_hit = (index + 1) % 3 == 0;
        assert_eq!((tokens, last.is_err()), if is_hit { (2, true) } else { (10, false) });
    }
    assert!(engine.progress().alive);
}

#[test]
fn a_sequence_that_hangs_can_be_cancelled() {
    let fault = SequenceFault { kind: FaultKind::Hang, after_tokens: 1, every: 1 };
    let (engine, probe) = faulty(Faults { sequence: Some(fault), ..Faults::default() });
    let mut stream = engine.generate(sequence(1, 10));
    for _ in 0..2 {
        stream.blocking_next_event().expect("it starts, and has one token");
    }
    stream.cancel_handle().cancel();
    failed_with(stream, ErrorCode::Cancelled);
    drop(engine);
    assert_eq!(probe.sequences(), 0);
}

#[test]
fn an_injected_fault_occurs_in_the_next_step() {
    let (engine, probe) = load(SimulatedConfig::echo());
    read(engine.generate(sequence(1, 3))).1.expect("it finishes before the fault");
    probe.inject(FaultKind::Panic);
    failed_with(engine.generate(sequence(1, 3)), ErrorCode::EngineFailed);
    assert_eq!((probe.loads(), engine.progress().alive), (1, false));
}

#[test]
fn a_cancelled_sequence_wastes_at_most_one_step() {
    let (engine, probe) = faulty(Faults::default());
    let mut cancelled = 0;
    for round in 0..5 {
        let mut streams: Vec<_> = (0..8).map(|first| engine.generate(sequence(first, 1_000))).collect();
        for stream in &mut streams {
            for _ in 0..=round {
                stream.blocking_next_event().expect("it is still running");
            }
        }
        cancelled += streams.len() as u64;
        drop(streams);
    }
    read(engine.generate(sequence(1, 1))).1.expect("there are free slots again");
    assert!(probe.wasted_steps() <= cancelled, "{} steps for {cancelled} sequences", probe.wasted_steps());
    assert_eq!(probe.sequences(), 0);
}

#[test]
fn the_common_prefix_with_an_earlier_prompt_is_reused() {
    let (engine, _) = load(SimulatedConfig { prefix_cache_tokens: 1_000, ..SimulatedConfig::echo() });
    let prompt: Vec<u32> = (0..50).collect();
    let cached =
        |tokens: Vec<u32>| read(engine.generate(Sequence::greedy(tokens, 2))).1.expect("it ends").usage.cached_tokens;
    assert_eq!(cached(prompt.clone()), 0);
    assert_eq!(cached(prompt.clone()), 49, "the last token of a prompt is always computed");
    let other_end = prompt.iter().copied().take(40).chain([99, 98]).collect();
    assert_eq!(cached(other_end), 40);
}

#[test]
fn slow_start_delays_loading() {
    let faults = Faults { slow_start_ms: 50, ..Faults::default() };
    let begun = Instant::now();
    faulty(faults);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}
