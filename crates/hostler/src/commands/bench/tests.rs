//! Tests of the commands and their exit codes, against the echo server.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hostler_loadgen::ceiling::{EchoServer, EchoTimings};
use hostler_loadgen::measure::Estimate;
use hostler_loadgen::result::{self, BenchmarkResult, Better, Kind, Metric};
use hostler_loadgen::shape::Shape;

use super::arguments::BenchCommand;
use crate::failure;

/// Exit codes.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: BenchCommand,
}

async fn bench(arguments: &[&str]) -> ExitCode {
    let arguments = Arguments::try_parse_from(std::iter::once(&"bench").chain(arguments)).expect("they can be parsed");
    super::execute(arguments.command, true, Some("abc")).await.unwrap_or_else(|error| failure::report(&error, true))
}

/// A server with 200 tokens/s per request.
fn server() -> EchoServer {
    let gap = Duration::from_millis(5);
    EchoServer::start(EchoTimings { first_token: gap, gap }).expect("a port is free")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path of a temporary file is UTF-8")
}

#[test]
fn shapes_with_a_rate_require_one() {
    let parse = |arguments: &[&str]| {
        Arguments::try_parse_from(["bench", "run", "--url", "http://h"].iter().chain(arguments)).is_ok()
    };
    assert!(parse(&[]) && parse(&["--shape", "poisson", "--rate", "2"]));
    assert!(!parse(&["--shape", "poisson"]) && !parse(&["--shape", "constant"]));
    assert!(!parse(&["--shape", "ramp", "--rate", "2"]));
    assert!(parse(&["--until", "1%"]) && parse(&["--until", "0.5", "--until-seconds", "9"]));
    assert!(!parse(&["--until", "little"]) && !parse(&["--until-seconds", "9"]));
    assert!(!parse(&["--prompt", "x", "--prompt-tokens", "5"]) && !parse(&["--max-tokens", "0"]));
}

#[tokio::test]
async fn two_servers_are_measured_alternately_and_the_result_is_written() {
    let (a, b) = (server(), server());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    let arguments = ["run", "--url", &a.url(), "--versus", &b.url(), "-n", "4", "-c", "2", "--max-tokens", "10"];
    let more = ["--repeats", "2", "--output", text(&file), "--prompt-tokens", "10-20", "--slo-e2e-ms", "5000"];
    assert_eq!(bench(&[&arguments[..], &more].concat()).await, ExitCode::SUCCESS);
    let result = result::read(&file).expect("it was written");
    assert_eq!((result.kind, result.series.len(), result.ratios.len()), (Kind::Versus, 2, 1));
    assert_eq!(result.series[0].target.model, "echo");
    assert!(result.series[1].estimate(Metric::GoodputPerSecond).is_some_and(|goodput| goodput.median > 0.0));

    let page = folder.path().join("result.html");
    assert_eq!(bench(&["report", text(&file), "--format", "html", "--output", text(&page)]).await, ExitCode::SUCCESS);
    assert!(std::fs::read_to_string(&page).is_ok_and(|page| page.contains("<svg")));

    // Two rounds are too few for any verdict.
    let compare = ["compare", text(&file), text(&file)];
    assert_eq!(bench(&compare).await, ExitCode::SUCCESS);
    assert_eq!(bench(&[&compare[..], &["--strict"]].concat()).await, ExitCode::from(super::REGRESSION));
    let (good, worse) = (with_rounds(&result, 100.0), with_rounds(&result, 50.0));
    let (good_file, worse_file) = (folder.path().join("good.json"), folder.path().join("worse.json"));
    result::write(&good_file, &good).expect("the folder is writable");
    result::write(&worse_file, &worse).expect("the folder is writable");
    assert_eq!(bench(&["compare", text(&good_file), text(&worse_file)]).await, ExitCode::from(super::REGRESSION));
    let better = ["compare", text(&worse_file), text(&good_file), "--strict"];
    assert_eq!(bench(&better).await, ExitCode::SUCCESS);
}

/// The same result, with ten rounds of a server with this rate in place of each metric.
fn with_rounds(result: &BenchmarkResult, rate: f64) -> BenchmarkResult {
    let mut result = result.clone();
    for series in &mut result.series {
        for (metric, estimate) in &mut series.estimates {
            let rounds = (0..10).map(|round| rate + f64::from(round) / 10.0);
            let values = match metric.better() {
                Better::Higher => rounds.collect(),
                Better::Lower => rounds.map(f64::recip).collect(),
            };
            *estimate = Estimate::of(values).expect("ten");
        }
    }
    result
}

#[tokio::test]
async fn a_sweep_ends_at_its_maximum() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sweep.json");
    let arguments = ["run", "--url", &server.url(), "--shape", "sweep", "-c", "4", "-n", "4", "--max-tokens", "10"];
    assert_eq!(bench(&[&arguments[..], &["--output", text(&file)]].concat()).await, ExitCode::SUCCESS);
    let result = result::read(&file).expect("it was written");
    let steps: Vec<Shape> = result.series.iter().map(|series| series.shape).collect();
    assert_eq!(steps, [1, 2, 4].map(|concurrency| Shape::Concurrent { concurrency }));
    assert!(result.knee.is_some());
}

#[tokio::test]
async fn no_result_if_the_generator_is_the_bottleneck() {
    let echo = EchoServer::start(EchoTimings::default()).expect("a port is free");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.json");
    // Both are echoes: in some round they are within a factor of two of each other.
    let arguments = ["run", "--url", &echo.url(), "-n", "400", "--repeats", "5", "--output", text(&file)];
    assert_eq!(bench(&arguments).await, ExitCode::from(FAILED));
    assert!(!file.exists());
}

#[tokio::test]
async fn exit_codes_distinguish_usage_errors_from_failures() {
    let url = ["run", "--url", "http://127.0.0.1:9"];
    assert_eq!(bench(&url).await, ExitCode::from(FAILED));
    assert_eq!(bench(&[&url[..], &["--requests", "0"]].concat()).await, ExitCode::from(USAGE));
    assert_eq!(bench(&[&url[..], &["--concurrency", "0"]].concat()).await, ExitCode::from(USAGE));
    assert_eq!(bench(&[&url[..], &["--extra-body", "[]"]].concat()).await, ExitCode::from(USAGE));
    assert_eq!(bench(&[&url[..], &["--temperature", "9"]].concat()).await, ExitCode::from(USAGE));
    assert_eq!(bench(&[&url[..], &["--prompt-file", "no-such-file"]].concat()).await, ExitCode::from(USAGE));
    assert_eq!(bench(&["run", "--url", "https://h"]).await, ExitCode::from(FAILED));
    assert_eq!(bench(&["compare", "no-such-file", "no-such-file"]).await, ExitCode::from(FAILED));
}
