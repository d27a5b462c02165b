//! Checks of an engine's description and its life cycle: steps, leaks, shutdown and reload.

use hostler_protocol::{ErrorCode, Prefill};

use super::determinism::same;
use crate::ExecutorFactory;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

pub(super) const RELOAD: &str = "a dropped engine fails its sequences, and a reloaded one answers the same";

pub(super) fn description(subject: &Subject) -> Result<(), Violation> {
    let description = subject.description();
    ensure!(!description.model.as_str().is_empty(), "the model has no name");
    ensure!(!description.device.is_empty(), "the device has no name");
    ensure!(!description.weight_format.is_empty(), "the weight format has no name");
    ensure!(description.context_length >= 64, "a context of {} tokens", description.context_length);
    ensure!(description.vocabulary_size >= 2, "a vocabulary of {} tokens", description.vocabulary_size);
    ensure!(
        description.kv_capacity_tokens >= u64::from(description.context_length),
        "a KV cache of {} tokens does not hold one context of {}",
        description.kv_capacity_tokens,
        description.context_length
    );
    ensure!(description.driving.max_sequences >= 1, "max_sequences is 0");
    ensure!(description.driving.prefill != Prefill::Chunked { tokens: 0 }, "prefill chunks have 0 tokens");
    ensure!(subject.executor().progress().alive, "the engine is not alive");
    Ok(())
}

pub(super) fn progress(subject: &Subject) -> Result<(), Violation> {
    let before = subject.executor().progress();
    let completed = subject.run(subject.greedy(0)?)?;
    let after = subject.executor().progress();
    ensure!(before.alive && after.alive, "the engine reports that it is not alive");
    // The first token may come with the step that ends the prefill, and the engine may
    // count a step after it has sent its token.
    let least = completed.tokens.len() as u64 - 1;
    let done = after.steps - before.steps;
    ensure!(done >= least, "{done} steps were counted for {} tokens", completed.tokens.len());
    Ok(())
}

pub(super) fn many_short_requests(subject: &Subject) -> Result<(), Violation> {
    let batch = |count: u32| -> Result<(), Violation> {
        let sequences = (0..count as usize).map(|index| {
            let mut sequence = subject.greedy(index)?;
            sequence.max_new_tokens = 2;
            Ok(sequence)
        });
        subject.run_together(sequences.collect::<Result<Vec<_>, _>>()?).map(drop)
    };
    let count = subject.options().short_requests;
    batch(count / 10)?;
    let before = threads();
    batch(count)?;
    let grown = threads().saturating_sub(before);
    // Other tests of the same process may start threads at the same time; a leak is
    // about one thread per request.
    ensure!(grown < (count as usize / 4).max(8), "{count} requests leaked {grown} threads");
    subject.run(subject.greedy(0)?).map(drop)
}

/// Number of threads of this process; 0 if the system does not report it.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Drops the engine while sequences run, then loads another one.
pub(super) fn reload(subject: Subject, factory: &dyn ExecutorFactory) -> Result<(), Violation> {
    let before = subject.run(subject.greedy(0)?)?;
    let mut streams = Vec::new();
    for prompt in 0..subject.max_sequences().min(8) {
        let mut stream = subject.executor().generate(subject.long(prompt)?);
        subject.read_tokens(&mut stream, 1)?;
        streams.push(stream);
    }
    let (executor, options, runtime) = subject.into_parts();
    drop(executor);
    drop(runtime);

    let fresh = Subject::load(factory, options)?;
    for stream in streams {
        let ended = fresh.collect_rest(stream)?;
        ensure!(
            ended.as_ref().is_err_and(|error| error.code == ErrorCode::EngineFailed),
            "the engine was dropped, and a running sequence ended in {ended:?}"
        );
    }
    same(&before, &fresh.run(fresh.greedy(0)?)?, "the engine before and after the reload")
}
