//! Comparisons of results whose rounds are simulated in virtual time, with the noise of a
//! machine that does other work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_loadgen::ceiling::GeneratorCheck;
use hostler_loadgen::measure::{Answer, Failure, RequestRecord, RunSummary, Slo, Stopwatch, Window};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{BenchmarkResult, Comparison, Kind, Series, Verdict};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::{NamedTarget, ServerProcesses, Target, TargetDescription};
use hostler_loadgen::workload::{Job, Length, Prompts, Workload};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IN_FLIGHT: u64 = 4;
const REQUESTS: u64 = 24;
const TOKENS: u32 = 20;
const THRESHOLD: f64 = 0.01;
/// Rounds of each result.
const ROUNDS: u32 = 20;
/// Comparisons of each kind.
const COMPARISONS: u64 = 20;

#[test]
fn no_build_has_regressed_against_itself() {
    for seed in 0..COMPARISONS {
        let comparison = Comparison::of(&result(seed, ROUNDS, 1.0), &result(seed + 1000, ROUNDS, 1.0), THRESHOLD);
        assert_eq!(comparison.rounds_needed, None);
        assert!(!comparison.has_regressed(), "seed {seed}: {comparison:?}");
    }
}

#[test]
fn a_slowdown_of_three_percent_is_found() {
    let found = (0..COMPARISONS).filter(|&seed| {
        let comparison = Comparison::of(&result(seed, ROUNDS, 1.0), &result(seed + 1000, ROUNDS, 1.03), THRESHOLD);
        assert!(comparison.changes.iter().all(|change| change.verdict != Verdict::Improved), "seed {seed}");
        comparison.has_regressed()
    });
    let found = found.count();
    assert!(found >= 19, "found {found} of 20");
}

#[test]
fn with_too_few_rounds_nothing_is_a_regression() {
    for rounds in [1, 2, 5] {
        let comparison = Comparison::of(&result(1, rounds, 1.0), &result(2, rounds, 2.0), THRESHOLD);
        assert!(!comparison.has_regressed(), "{rounds} rounds");
        assert_eq!(comparison.rounds_needed, Some(7));
    }
    let enough = Comparison::of(&result(1, 7, 1.0), &result(2, 7, 2.0), THRESHOLD);
    assert!(enough.has_regressed() && enough.rounds_needed.is_none());
}

/// A result of a server whose steps take `slowness` × 10 ms.
fn result(seed: u64, rounds: u32, slowness: f64) -> BenchmarkResult {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let runs = (0..rounds).map(|_| {
        // What differs between rounds: up to 1 % either way, and sometimes another process.
        let mut round = slowness * random.random_range(0.99..1.01);
        if random.random::<f64>() < 0.1 {
            round *= 1.05;
        }
        let records = records(&mut random, round);
        let window = Window::of(&records, Duration::ZERO, Duration::ZERO).expect("it took time");
        RunSummary::of(&records, window, &Slo::default(), false)
    });
    let target = NamedTarget {
        name: "simulated".to_owned(),
        target: Arc::new(Simulated),
        shape: Shape::Concurrent { concurrency: 4 },
        server: ServerProcesses::Pids(Vec::new()),
        energy: None,
    };
    let series = Series::of(&target, runs.collect());
    let generator =
        GeneratorCheck { ceiling_tokens_per_second: 1e6, ceiling_requests_per_second: 1e6, objections: Vec::new() };
    BenchmarkResult::new(Kind::Run, 0, plan(rounds), vec![series], generator)
}

/// Requests in full batches: every step gives each of them a token.
fn records(random: &mut ChaCha8Rng, slowness: f64) -> Vec<RequestRecord> {
    let mut now = Duration::ZERO;
    let mut records = Vec::new();
    for batch in 0..REQUESTS / IN_FLIGHT {
        let sent = now;
        let token_times: Vec<Duration> = (0..TOKENS)
            .map(|_| {
                now += Duration::from_secs_f64(0.010 * slowness * random.random_range(0.9..1.1));
                now
            })
            .collect();
        records.extend((0..IN_FLIGHT).map(|slot| RequestRecord {
            index: batch * IN_FLIGHT + slot,
            tokens_requested: TOKENS,
            due: sent,
            sent,
            in_flight: IN_FLIGHT,
            token_times: token_times.clone(),
            ended: now,
            outcome: Ok(Answer { prompt_tokens: Some(9), output_tokens: TOKENS, counted_by_server: true }),
        }));
    }
    records
}

fn plan(rounds: u32) -> Plan {
    Plan {
        workload: Workload {
            prompts: Prompts::Fixed { text: "x".to_owned() },
            output_tokens: Length::fixed(TOKENS).expect("a length"),
            exact_length: true,
            temperature: 0.0,
            seed: 0,
            leaving: None,
            salt: 0,
        },
        requests: REQUESTS,
        seconds_max: None,
        request_seconds_max: 10.0,
        warm_up_requests: Some(0),
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats: rounds,
        until: None,
        slo: Slo::default(),
    }
}

/// Only described, never asked.
struct Simulated;

#[async_trait]
impl Target for Simulated {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            layer: "engine".to_owned(),
            address: "simulated".to_owned(),
            model: "m".to_owned(),
            settings: serde_json::json!({}),
            facts: serde_json::json!({}),
        }
    }

    async fn generate(&self, _: &Job, _: &mut Stopwatch) -> Result<Answer, Failure> {
        unreachable!("its rounds are simulated")
    }
}
