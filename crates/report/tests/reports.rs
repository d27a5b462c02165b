//! Reports of results of every kind.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use hostler_loadgen::ceiling::GeneratorCheck;
use hostler_loadgen::measure::{Answer, Failure, Slo, Stopwatch};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{BenchmarkResult, Kind};
use hostler_loadgen::rounds::measure;
use hostler_loadgen::shape::{Shape, SweepPoint};
use hostler_loadgen::target::{NamedTarget, ServerProcesses, Target, TargetDescription};
use hostler_loadgen::workload::{Job, Length, Prompts, Workload};

/// Answers immediately, but fails every third request.
struct Flaky;

#[async_trait]
impl Target for Flaky {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            layer: "http".to_owned(),
            address: "<script>alert(1)</script>".to_owned(),
            model: "m".to_owned(),
            settings: serde_json::json!({}),
            facts: serde_json::json!({}),
        }
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        if job.index % 3 == 2 {
            return Err(Failure::Status { status: 429, message: "later".to_owned() });
        }
        (0..job.max_tokens).for_each(|_| stopwatch.record_token(Instant::now()));
        Ok(Answer { prompt_tokens: Some(3), output_tokens: job.max_tokens - 1, counted_by_server: false })
    }
}

async fn result(kind: Kind, names: &[&str]) -> BenchmarkResult {
    let plan = Plan {
        workload: Workload {
            prompts: Prompts::Fixed { text: "x".to_owned() },
            output_tokens: Length::fixed(5).expect("a length"),
            exact_length: true,
            temperature: 0.0,
            seed: 0,
            leaving: None,
            salt: 0,
        },
        requests: 9,
        seconds_max: None,
        request_seconds_max: 10.0,
        warm_up_requests: Some(0),
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats: 2,
        until: None,
        slo: Slo::default(),
    };
    let target = |name: &&str| NamedTarget {
        name: (*name).to_owned(),
        target: Arc::new(Flaky),
        shape: Shape::Synchronous,
        server: ServerProcesses::Pids(vec![std::process::id()]),
        energy: None,
    };
    let targets: Vec<NamedTarget> = names.iter().map(target).collect();
    let series = measure(&targets, &plan, &()).await.expect("some requests succeed");
    let generator = GeneratorCheck {
        ceiling_tokens_per_second: 10.0,
        ceiling_requests_per_second: 1.0,
        objections: vec!["too slow".to_owned()],
    };
    BenchmarkResult::new(kind, 0, plan, series, generator)
}

#[tokio::test]
async fn the_report_names_every_deviation() {
    let text = hostler_report::markdown(&result(Kind::Versus, &["A", "B"]).await);
    for needed in [
        "A: 6 requests FAILED (http_429)",
        "B: 12 answers are shorter than requested",
        "each piece counts as one token",
        "INVALID: too slow",
        "| A / B ",
        "| TTFT A ",
        "server resident (MB)",
        "50.0 % confidence",
    ] {
        assert!(text.contains(needed), "{needed:?} is missing from:\n{text}");
    }
}

#[tokio::test]
async fn a_page_has_its_plots_and_escapes_names() {
    let mut sweep = result(Kind::Sweep, &["1 in flight", "2 in flight"]).await;
    sweep.knee = Some(SweepPoint { concurrency: 2, tokens_per_second: 50.0, e2e_seconds: 0.1 });
    let ladder = result(Kind::Ladder, &["engine", "scheduler", "router"]).await;
    for (result, plots, words) in [
        (result(Kind::Run, &["<b>"]).await, 4, "Throughput in the first round"),
        (sweep, 5, "knee: 2 in flight"),
        (ladder, 5, "scheduler"),
    ] {
        let page = hostler_report::html(&result).expect("it can be drawn");
        assert_eq!(page.matches("<svg").count(), plots);
        assert!(page.contains(words), "{words:?} is missing");
        assert!(!page.contains("<script") && !page.contains("<b>"), "names are escaped");
    }
}

#[tokio::test]
async fn the_csv_has_every_value_of_every_round() {
    let result = result(Kind::Versus, &["A", "B"]).await;
    let text = hostler_report::csv(&result).expect("CSV");
    let rates: Vec<&str> = text.lines().filter(|line| line.contains(",output_tokens_per_second,")).collect();
    assert_eq!(rates.len(), 4);
    for (line, run) in rates.iter().zip(result.series.iter().flat_map(|series| &series.runs)) {
        let value: f64 = line.rsplit(',').next().and_then(|value| value.parse().ok()).expect("a number");
        assert!((value - run.output_tokens_per_second).abs() < 1e-9);
    }
}
