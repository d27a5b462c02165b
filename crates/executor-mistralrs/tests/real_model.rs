//! Tests beyond the contract suite: more sequences than may run concurrently, a panic
//! inside the engine, memory over time.

mod support;

use std::sync::Arc;

use hostler_executor::{ExecutorFactory, ModelExecutor, Sequence};
use hostler_executor_mistralrs::{Fault, MistralrsFactory};
use hostler_protocol::{ErrorCode, FinishReason, TokenId};

use support::{collect, endless};

const PROMPTS: [&str; 8] = [
    "The capital of France is",
    "Once upon a time",
    "def fibonacci(n):",
    "1, 2, 3, 4,",
    "The sea is wide, and deep, and",
    "Dear Sir or Madam,",
    "Water boils at",
    "A horse walks into a bar",
];

/// Steps of a new engine's warm-up.
const WARM_UP_STEPS: u64 = 2;

#[test]
fn sequences_beyond_the_limit_wait_and_are_not_mixed_up() {
    let Some(config) = support::config("eight sequences at once") else { return };
    let executor = MistralrsFactory::new(config).load(&()).expect("the model loads");
    assert_eq!(executor.description().driving.max_sequences, 1, "a CPU runs one sequence at a time");
    let sequences: Vec<Sequence> = PROMPTS.iter().map(|prompt| endless(&*executor, prompt, 16)).collect();
    let run = |sequence: &Sequence| collect(executor.generate(sequence.clone())).0;
    let solo: Vec<Vec<TokenId>> = sequences.iter().map(run).collect();
    for round in 0..3 {
        let streams: Vec<_> = sequences.iter().map(|sequence| executor.generate(sequence.clone())).collect();
        let together: Vec<Vec<TokenId>> = streams.into_iter().map(|stream| collect(stream).0).collect();
        assert_eq!(together, solo, "round {round}");
    }
}

#[test]
fn a_waiting_sequence_can_be_cancelled() {
    let Some(config) = support::config("cancellation of a waiting sequence") else { return };
    let executor = MistralrsFactory::new(config).load(&()).expect("the model loads");
    let running = executor.generate(endless(&*executor, "Once upon a time", 1_000));
    let waiting = executor.generate(endless(&*executor, "Water boils at", 8));
    waiting.cancel_handle().cancel();
    let (tokens, end) = collect(waiting);
    assert!(tokens.is_empty());
    assert_eq!(end.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    running.cancel_handle().cancel();
    assert!(collect(running).0.len() < 1_000, "the other sequence was still running");
}

#[test]
fn a_panic_of_the_engine_fails_all_sequences_and_the_model_can_be_reloaded() {
    let Some(mut config) = support::config("a panic of the engine") else { return };
    config.fault = Some(Fault::PanicAfterSteps(WARM_UP_STEPS + 5));
    let factory = MistralrsFactory::new(config);
    let executor = factory.load(&()).expect("the model loads");
    let sequence = endless(&*executor, "Once upon a time", 20);

    let (running, waiting) = (executor.generate(sequence.clone()), executor.generate(sequence.clone()));
    let (tokens, end) = collect(running);
    assert_eq!(tokens.len(), 5, "the steps before the panic produced tokens");
    assert_eq!(end.expect_err("the engine panicked").code, ErrorCode::EngineFailed);
    assert!(!executor.progress().alive, "a client that sees the failure finds the engine dead");
    assert_eq!(collect(waiting).1.expect_err("the engine is dead").code, ErrorCode::EngineFailed);
    let (_, end) = collect(executor.generate(sequence.clone()));
    assert_eq!(end.expect_err("the engine is dead").code, ErrorCode::EngineFailed);
    drop(executor);

    // The continuation on another engine equals the whole answer.
    let executor = factory.load(&()).expect("the fault applies to the first executor only");
    let (whole, end) = collect(executor.generate(sequence.clone()));
    assert_eq!(end.expect("it finishes").reason, FinishReason::Length);
    let continued: Arc<[TokenId]> = sequence.tokens.iter().chain(&tokens).copied().collect();
    let rest = Sequence { tokens: continued, answered: 5, max_new_tokens: 15, ..sequence };
    assert_eq!(collect(executor.generate(rest)).0, whole[5..]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_requests_and_is_returned() {
    let Some(config) = support::config("memory over time") else { return };
    let before = resident_megabytes();
    let executor = MistralrsFactory::new(config).load(&()).expect("the model loads");
    let model = executor.description().weight_bytes / 1_000_000;
    let run = |executor: &dyn ModelExecutor, requests: usize| {
        for index in 0..requests {
            let (_, end) = collect(executor.generate(endless(executor, PROMPTS[index % PROMPTS.len()], 4)));
            end.expect("it finishes");
        }
    };
    run(&*executor, 30);
    let warm = resident_megabytes();
    run(&*executor, 200);
    let after = resident_megabytes();
    assert!(after < warm + 24, "resident memory grew from {warm} to {after} MB over 200 requests");
    drop(executor);
    let dropped = resident_megabytes();
    eprintln!("resident: {before} MB before, {warm} MB warm, {after} MB after 200 requests, {dropped} MB dropped");
    assert!(dropped + model < after, "{dropped} of {after} MB remain after dropping a model of {model} MB");
}

/// Resident memory of this process.
#[cfg(target_os = "linux")]
fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has this file");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has this line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") / 1_000
}
