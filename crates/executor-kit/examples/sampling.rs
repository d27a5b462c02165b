//! Measures the cost of sampling one token, in microseconds (median), which is added to
//! every step of every sequence: `cargo run -p hostler-executor-kit --example sampling`.

use std::time::{Duration, Instant};

use hostler_executor::TextError;
use hostler_executor::text::{Answer, IncrementalDecoder};
use hostler_executor_kit::sampling::{Sampler, Scratch};
use hostler_protocol::{SamplingParams, StopConditions, TokenId};

const VOCABULARY: usize = 49_152;
const STEPS: u32 = 500;

/// Tokens without text.
struct Silent;

impl IncrementalDecoder for Silent {
    fn push(&mut self, _token: TokenId) -> Result<String, TextError> {
        Ok(String::new())
    }

    fn flush(&mut self) -> String {
        String::new()
    }
}

fn main() {
    // Distributed like a language model's: most tokens far below a few likely ones.
    let logits: Vec<f32> = (0..VOCABULARY).map(|id| ((id * 7919) % 10_007) as f32 / 500.0).collect();
    let plain = SamplingParams::default();
    let greedy = SamplingParams::greedy();
    let penalised = SamplingParams { repetition_penalty: 1.1, presence_penalty: 0.5, ..SamplingParams::greedy() };
    let cases = [
        ("greedy", greedy.clone(), None),
        ("greedy, penalties", penalised, None),
        ("greedy, 5 logprobs", greedy, Some(5)),
        ("temperature 1", plain.clone(), None),
        ("temperature 1, top_k 40", SamplingParams { top_k: Some(40), ..plain.clone() }, None),
        ("temperature 1, top_p 0.9", SamplingParams { top_p: 0.9, ..plain.clone() }, None),
        ("temperature 0.7, min_p 0.05", SamplingParams { temperature: 0.7, min_p: 0.05, ..plain }, None),
    ];
    for (name, params, top_logprobs) in cases {
        let stop = StopConditions { ignore_eos: true, ..StopConditions::default() };
        let answer = Answer::new(Box::new(Silent), &stop, &[2], &[]).expect("there is nothing to decode");
        let mut sampler = Sampler::new(params, 1, &[1, 2, 3], &[], None, top_logprobs);
        let mut scratch = Scratch::default();
        let mut step = || {
            let begun = Instant::now();
            let choice = sampler.sample(&logits, &answer, &mut scratch).expect("there is no constraint");
            std::hint::black_box(choice);
            begun.elapsed()
        };
        let mut times: Vec<Duration> = (0..STEPS).map(|_| step()).collect();
        times.sort_unstable();
        println!("{name}: {:.1} µs", times[times.len() / 2].as_secs_f64() * 1e6);
    }
}
