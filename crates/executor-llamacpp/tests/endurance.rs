//! Memory does not grow with many requests or many loads.

mod support;

use hostler_executor::{ExecutorFactory, ModelExecutor, Sequence, TokenStream};
use hostler_protocol::{Constraint, SamplingParams, TenantId, TokenId};

const CONCURRENT: usize = 8;

/// Allowed growth of the allocator's memory, in MiB; a leak of 1 KiB per request would be 10.
const MEMORY_GROWTH_MIB_MAX: f64 = 6.0;

/// Takes a minute on two cores, so it must be requested:
/// `cargo test -p hostler-executor-llamacpp --test endurance -- --ignored`.
#[test]
#[ignore = "takes a minute; run it with --ignored"]
fn ten_thousand_requests_leak_no_memory() {
    let Some(factory) = support::factory("ten thousand requests") else { return };
    let executor = factory.load(&()).expect("the model loads");
    requests(&*executor, 1_000);
    let before = resident_mib();
    requests(&*executor, 10_000);
    let grown = resident_mib() - before;
    eprintln!("10,000 requests: {before:.1} MiB before, {grown:+.1} MiB after");
    assert!(grown < MEMORY_GROWTH_MIB_MAX, "{grown:.1} MiB were leaked");
}

#[test]
fn a_model_can_be_loaded_repeatedly() {
    let Some(factory) = support::one_thread_factory("repeated loading") else { return };
    let mut answers = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..5 {
        let executor = factory.load(&()).expect("the model loads");
        let tokens = support::encode(&*executor, "The capital of France is");
        let (tokens, _) = support::run(&*executor, Sequence::greedy(tokens, 8));
        answers.push(tokens.into_iter().map(|token| token.id).collect::<Vec<TokenId>>());
        drop(executor);
        resident.push(resident_mib());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let grown = resident[4] - resident[1];
    assert!(grown < 4.0 * MEMORY_GROWTH_MIB_MAX, "three loads leaked {grown:.1} MiB: {resident:?}");
}

/// Short requests of all kinds, which allocate different things.
fn requests(executor: &dyn ModelExecutor, count: u32) {
    let mut running: Vec<TokenStream> = Vec::new();
    for index in 0..count {
        if running.len() == CONCURRENT {
            support::finished(running.remove(0));
        }
        let mut sequence = Sequence::greedy(vec![100 + index % 1_000, 200 + index % 7], 1 + index % 3);
        match index % 8 {
            0 => sequence.sampling = SamplingParams { temperature: 1.0, top_p: 0.9, ..SamplingParams::default() },
            1 => sequence.top_logprobs = Some(5),
            2 => sequence.stop.sequences = vec!["never".into(), "ever".into()],
            3 => sequence.sampling.repetition_penalty = 1.1,
            4 if index % 64 == 4 => {
                let regex = Constraint::Regex("[a-z ]{1,20}".into());
                let regex = executor.compile(&TenantId::default(), regex, Vec::new());
                let compiled = futures::executor::block_on(regex);
                sequence.constraint = Some(compiled.expect("the expression is valid"));
            }
            // Cancelled at once, which must free its memory as well.
            5 => drop(executor.generate(sequence.clone())),
            6 if index % 32 == 6 => drop(futures::executor::block_on(executor.embed(vec![1, 2, 3]))),
            _ => {}
        }
        running.push(executor.generate(sequence));
    }
    running.into_iter().for_each(|stream| drop(support::finished(stream)));
}

/// Anonymous resident memory of this process in MiB; 0 if the system does not report it.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}
