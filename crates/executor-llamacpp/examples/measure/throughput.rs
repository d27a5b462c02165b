//! Measures tokens per second at a given concurrency.

use std::cell::RefCell;
use std::time::Instant;

use futures::future::join_all;
use hostler_executor::ModelExecutor;
use hostler_protocol::TokenEvent;

use crate::workload::{self, Pattern, ROUNDS};

pub(crate) fn measure(executor: &dyn ModelExecutor, pattern: Pattern, concurrency: usize) {
    let rounds = workload::setting("ROUNDS").unwrap_or(ROUNDS);
    let mut rates: Vec<f64> = (0..rounds).map(|round| one_round(executor, pattern, concurrency, round)).collect();
    rates.sort_by(f64::total_cmp);
    println!("{pattern:?}, concurrency {concurrency}: {:.1} tokens/s (median of {rates:.1?})", rates[rounds / 2]);
}

/// A closed loop: each client sends its next request when it has received an answer. All
/// clients share one thread, which takes little CPU time from the engine.
fn one_round(executor: &dyn ModelExecutor, pattern: Pattern, concurrency: usize, round: usize) -> f64 {
    let requests = RefCell::new(workload::round(executor, pattern, round).into_iter());
    let client = || async {
        let mut generated = 0;
        loop {
            let Some(sequence) = requests.borrow_mut().next() else { return generated };
            let mut stream = executor.generate(sequence);
            while let Some(event) = stream.next_event().await {
                match event {
                    TokenEvent::Finished(finish) => generated += finish.usage.completion_tokens,
                    TokenEvent::Failed(error) => panic!("a request failed: {error}"),
                    TokenEvent::Started(_) | TokenEvent::Token(_) => {}
                }
            }
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers needs nothing");
    let begin = Instant::now();
    let generated = runtime.block_on(join_all((0..concurrency).map(|_| client())));
    f64::from(generated.into_iter().sum::<u32>()) / begin.elapsed().as_secs_f64()
}
