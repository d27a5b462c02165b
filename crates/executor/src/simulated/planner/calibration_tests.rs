//! The equal-length planner compared with measurements of mistral.rs.
//!
//! Eight concurrent sequences, 64 output tokens unless stated otherwise, 40 sequences
//! per run, in virtual time. The measurement did not record the prompt lengths; 16
//! tokens fit its first row.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;

const SEQUENCES: usize = 40;
const AT_ONCE: usize = 8;
const PROMPT_TOKENS: u32 = 16;

/// Runs per row, each with newly drawn lengths; the results are averaged.
const RUNS: u64 = 20;

/// Relative tolerance. The cost model describes a machine with caches, two threads and
/// an operating system by four numbers; all seven rates are within this tolerance.
const RATE_TOLERANCE: f64 = 0.12;
/// The p95 of 40 latencies is the 38th of them: two or three sequences determine it.
const P95_TOLERANCE: f64 = 0.25;

#[derive(Clone, Copy, PartialEq)]
enum Refill {
    /// Submits the next sequences when all have ended.
    AfterDrain,
    /// Submits the next sequence when one has ended.
    Continuous,
}

/// Tokens per second, and the 95th percentile of the latencies in seconds.
fn drive(shapes: &[(u32, u32)], at_once: usize, refill: Refill) -> (f64, f64) {
    let mut planner = planner(&SimulatedConfig::mistralrs_f32());
    let mut now = Duration::ZERO;
    let mut submitted = Vec::new();
    let mut left: Vec<u32> = shapes.iter().map(|&(_, out)| out).collect();
    let mut latencies = Vec::new();
    let mut in_flight = 0;
    while latencies.len() < shapes.len() {
        if in_flight == 0 || refill == Refill::Continuous {
            while in_flight < at_once && submitted.len() < shapes.len() {
                let (prompt_tokens, max_new_tokens) = shapes[submitted.len()];
                planner.submit(Job { key: submitted.len() as Key, prompt_tokens, cached_tokens: 0, max_new_tokens });
                submitted.push(now);
                in_flight += 1;
            }
        }
        let step = planner.next_step().expect("sequences are in flight");
        now += step.duration;
        for key in step.produced {
            let index = key as usize;
            left[index] -= 1;
            if left[index] == 0 {
                planner.remove(key);
                latencies.push((now - submitted[index]).as_secs_f64());
                in_flight -= 1;
            }
        }
    }
    latencies.sort_by(f64::total_cmp);
    let tokens: u32 = shapes.iter().map(|&(_, out)| out).sum();
    (f64::from(tokens) / now.as_secs_f64(), latencies[shapes.len() * 95 / 100 - 1])
}

/// Prompts whose lengths differ by 0 to 4 tokens, in random order.
fn spread(random: &mut StdRng) -> Vec<(u32, u32)> {
    let mut shapes: Vec<_> = (0..SEQUENCES as u32).map(|index| (PROMPT_TOKENS + index % 5, 64)).collect();
    shapes.shuffle(random);
    shapes
}

fn spread_sorted(random: &mut StdRng) -> Vec<(u32, u32)> {
    let mut shapes = spread(random);
    shapes.sort_unstable();
    shapes
}

/// Prompts of equal length, outputs of 16 to 112 tokens.
fn different_outputs(random: &mut StdRng) -> Vec<(u32, u32)> {
    (0..SEQUENCES).map(|_| (PROMPT_TOKENS, random.random_range(16..=112))).collect()
}

fn equal(_: &mut StdRng) -> Vec<(u32, u32)> {
    vec![(PROMPT_TOKENS, 64); SEQUENCES]
}

#[test]
fn the_planner_reproduces_every_measured_row() {
    use Refill::{AfterDrain, Continuous};
    type Shapes = fn(&mut StdRng) -> Vec<(u32, u32)>;
    let rows: [(&str, Shapes, usize, Refill, f64, f64); 7] = [
        ("one at a time", equal, 1, AfterDrain, 33.9, 2.0),
        ("waves, equal prompt length", equal, AT_ONCE, AfterDrain, 102.8, 5.1),
        ("waves, spread, unsorted", spread, AT_ONCE, AfterDrain, 62.0, 11.4),
        ("spread, continuous refill", spread, AT_ONCE, Continuous, 62.2, 12.9),
        ("waves sorted by length", spread_sorted, AT_ONCE, AfterDrain, 97.9, 5.4),
        ("outputs of 16-112, drain then refill", different_outputs, AT_ONCE, AfterDrain, 86.8, 6.8),
        ("outputs of 16-112, continuous refill", different_outputs, AT_ONCE, Continuous, 63.9, 16.4),
    ];
    let mut wrong = Vec::new();
    for (name, shapes, at_once, refill, rate_measured, p95_measured) in rows {
        let (mut rate, mut p95) = (0.0, 0.0);
        for seed in 0..RUNS {
            let run = drive(&shapes(&mut StdRng::seed_from_u64(seed)), at_once, refill);
            rate += run.0 / RUNS as f64;
            p95 += run.1 / RUNS as f64;
        }
        let line = format!("{name}: {rate:.1} tokens/s ({rate_measured}), p95 {p95:.1} s ({p95_measured})");
        println!("{line}");
        if (rate / rate_measured - 1.0).abs() > RATE_TOLERANCE || (p95 / p95_measured - 1.0).abs() > P95_TOLERANCE {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "too far from the measurement: {wrong:#?}");
}
