//! The engine's own life: steps, leaks, its end and its replacement.

use hostler_protocol::ErrorCode;

use super::greedy::same;
use crate::ExecutorFactory;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

pub(in crate::contract) const END_OF_LIFE: &str = "a dropped engine ends what runs, and a fresh one answers as it did";

pub(super) fn progress(subject: &Subject) -> Result<(), Violation> {
    let before = subject.executor().progress();
    let completed = subject.run(subject.greedy(0)?)?;
    let after = subject.executor().progress();
    ensure!(before.alive && after.alive, "it says that it is dead");
    // The first token may come with the step that ends the prefill, and a step
    // may be counted after its token is sent.
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
    // Other tests of the same process may start threads meanwhile: a leak is one
    // a request.
    ensure!(grown < (count as usize / 4).max(8), "{count} requests left {grown} threads behind");
    subject.run(subject.greedy(0)?).map(drop)
}

/// Threads of this process; 0 where the system does not say.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Drops the engine while it works, then loads another.
pub(in crate::contract) fn end_of_life(subject: Subject, factory: &dyn ExecutorFactory) -> Result<(), Violation> {
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
            "the engine was dropped, and a sequence that ran ended in {ended:?}"
        );
    }
    same(&before, &fresh.run(fresh.greedy(0)?)?, "the engine before, and the one loaded anew")
}
