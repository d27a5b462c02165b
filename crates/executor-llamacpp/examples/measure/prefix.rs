//! Measures the benefit of prefix reuse: the time to first token of 20 prompts with a
//! common prefix of 1,000 tokens and different endings.

use std::time::Duration;

use hostler_executor::{ModelExecutor, Sequence};
use hostler_protocol::{Finish, TokenEvent};

use crate::workload;

const SHARED: usize = 1000;
const ENDING: usize = 20;
const ENDINGS: usize = 20;

pub(crate) fn measure(executor: &dyn ModelExecutor) {
    let shared = workload::tokens(executor, 1000, SHARED);
    let mut first = Vec::new();
    let mut later = Vec::new();
    for index in 0..ENDINGS {
        let mut tokens = shared.clone();
        tokens.extend(workload::tokens(executor, index, ENDING));
        let finish = run(executor, Sequence::greedy(tokens, 4));
        let time = finish.timings.prefill;
        if finish.usage.cached_tokens == 0 {
            first.push(time);
        } else {
            later.push(time);
        }
        // A prompt without a shared prefix, for comparison.
        let alone = run(executor, Sequence::greedy(workload::tokens(executor, 2000 + index, SHARED + ENDING), 4));
        first.push(alone.timings.prefill);
    }
    let (unshared, shared) = (median(first), median(later));
    println!(
        "time to first token: {:.1} ms unshared, {:.1} ms shared, ratio {:.3}",
        unshared.as_secs_f64() * 1e3,
        shared.as_secs_f64() * 1e3,
        shared.as_secs_f64() / unshared.as_secs_f64()
    );
}

fn run(executor: &dyn ModelExecutor, sequence: Sequence) -> Finish {
    let mut stream = executor.generate(sequence);
    while let Some(event) = stream.blocking_next_event() {
        match event {
            TokenEvent::Finished(finish) => return finish,
            TokenEvent::Failed(error) => panic!("a request failed: {error}"),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
    }
    panic!("a stream ended without a final event");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
