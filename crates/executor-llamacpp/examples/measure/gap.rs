//! Measures the effect of a long prompt on running sequences, by chunk size: the longest
//! time between two of their tokens, and the duration of the prefill.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_executor::{ModelExecutor, Sequence, TokenStream};
use hostler_protocol::TokenEvent;

use crate::workload;

const CHUNKS: [u32; 6] = [16, 32, 64, 65, 128, 256];
const STREAMS: usize = 7;
const LONG_PROMPT: usize = 1500;

pub(crate) fn measure(load: &dyn Fn(u32) -> Arc<dyn ModelExecutor>) {
    println!("chunk  median gap before ms  median gap during ms  longest gap during ms         prefill ms");
    for chunk in CHUNKS {
        let executor = load(chunk);
        let mut before = Vec::new();
        let mut during = Vec::new();
        let mut prefill = Duration::ZERO;
        std::thread::scope(|scope| {
            let streams: Vec<TokenStream> = (0..STREAMS)
                .map(|index| {
                    let mut sequence = Sequence::greedy(workload::tokens(&*executor, index, 24), 400);
                    sequence.stop.ignore_eos = true;
                    executor.generate(sequence)
                })
                .collect();
            let readers: Vec<_> = streams.into_iter().map(|stream| scope.spawn(|| arrivals(stream))).collect();
            std::thread::sleep(Duration::from_millis(1000));
            let sent = Instant::now();
            let long = Sequence::greedy(workload::tokens(&*executor, 99, LONG_PROMPT), 1);
            arrivals(executor.generate(long));
            let done = Instant::now();
            prefill = done - sent;
            for reader in readers {
                let arrivals = reader.join().expect("no reader panics");
                for pair in arrivals.windows(2) {
                    if pair[1] < sent {
                        before.push(pair[1] - pair[0]);
                    } else if pair[0] > sent && pair[1] < done {
                        during.push(pair[1] - pair[0]);
                    }
                }
            }
        });
        // The first steps process the streams' own prompts.
        before.drain(..STREAMS.min(before.len()));
        before.sort_unstable();
        during.sort_unstable();
        let ms = |gap: Option<&Duration>| gap.map_or(f64::NAN, |gap| gap.as_secs_f64() * 1e3);
        println!(
            "{chunk:5}  {:20.1}  {:20.1}  {:21.1}  {:17.0}",
            ms(before.get(before.len() / 2)),
            ms(during.get(during.len() / 2)),
            ms(during.last()),
            prefill.as_secs_f64() * 1e3,
        );
    }
}

/// The arrival time of each token.
fn arrivals(mut stream: TokenStream) -> Vec<Instant> {
    let mut arrivals = Vec::new();
    while let Some(event) = stream.blocking_next_event() {
        if matches!(event, TokenEvent::Token(_)) {
            arrivals.push(Instant::now());
        }
    }
    arrivals
}
