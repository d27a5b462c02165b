//! `hostler bench` against a Hostler.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::support::Hostler;

const SMALL: [&str; 6] = ["-n", "4", "-c", "2", "--max-tokens", "4"];

fn result(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

fn names(result: &Value) -> Vec<&str> {
    let series = result["series"].as_array().expect("a list");
    series.iter().map(|series| series["name"].as_str().expect("a name")).collect()
}

#[test]
fn a_ladder_starts_its_own_server_and_measures_every_layer() {
    let hostler = Hostler::new();
    let serve = ["--json", "bench", "ladder", "--engine", "simulated", "--model", "sim", "--repeats", "2"];
    let ended = hostler.run(&[&serve[..], &SMALL].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result = result(&ended.stdout);
    assert_eq!(result["kind"], "ladder");
    assert_eq!(names(&result), ["engine", "scheduler", "router", "http", "http-stream"]);
    assert_eq!(result["server"]["scheduler"]["engine"], "simulated");
    // The server stores the result under its data directory.
    let kept = std::fs::read_dir(hostler.folder.path().join("hostler/benchmarks")).expect("a folder");
    assert!(kept.filter_map(Result::ok).any(|entry| entry.path().extension().is_some_and(|kind| kind == "json")));
}

#[test]
fn a_connection_is_compared_with_its_scheduler() {
    let hostler = Hostler::new();
    let ladder = ["--json", "bench", "ladder", "--engine", "simulated", "--model", "sim", "--repeats", "2"];
    let ended = hostler.run(&[&ladder[..], &["--layers", "grpc,scheduler"], &SMALL].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result = result(&ended.stdout);
    assert_eq!(names(&result), ["scheduler", "grpc"]);
    assert_eq!(result["series"][1]["target"]["layer"], "grpc", "it went over the connection");
    assert_eq!((&result["ratios"][0]["of"], &result["ratios"][0]["to"]), (&"grpc".into(), &"scheduler".into()));
    for run in result["series"][1]["runs"].as_array().expect("a list") {
        assert_eq!((&run["output_tokens"], &run["failed"]), (&16.into(), &0.into()));
    }
}

#[test]
fn the_ladder_of_a_scheduler_in_another_process_starts_at_the_connection() {
    let hostler = Hostler::new();
    let file = hostler.folder.path().join("hostler.toml");
    let text = "[scheduler]\nengine = \"simulated\"\nmodel = \"sim\"\nisolation = \"process\"\n";
    std::fs::write(&file, text).expect("it is writable");
    let file = file.to_str().expect("plain names");
    let ladder = ["--json", "bench", "ladder", "--config", file, "--repeats", "1"];
    let ended = hostler.run(&[&ladder[..], &SMALL].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(names(&result(&ended.stdout)), ["grpc", "router", "http", "http-stream"]);
    let refused = hostler.run(&[&ladder[..], &["--layers", "engine"], &SMALL].concat());
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("in another process"), "{}", refused.stderr);
}

#[test]
fn a_run_by_claim_runs_in_the_server_and_is_refused_if_no_scheduler_would_serve() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let url = format!("http://{}", server.address);
    let run = |more: &[&str]| {
        hostler.run(&[&["--json", "bench", "run", "--url", &url, "--claim"], &SMALL[..], more].concat())
    };
    let refused = run(&[]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("min_serving"), "{}", refused.stderr);
    let ended = run(&["--min-serving", "0", "--layer", "http-stream"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result = result(&ended.stdout);
    assert_eq!(result["series"][0]["target"]["layer"], "http-stream");
    assert_eq!(result["series"][0]["runs"][0]["output_tokens"], 16);
}

#[test]
fn a_server_that_shuts_down_cancels_its_benchmark() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let order = r#"{"requests": 100000, "claim": {"min_serving": 0}}"#;
    let accepted = server.answer("POST /v1/benchmarks", order);
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    let (_, body) = accepted.split_once("\r\n\r\n").expect("a head and a body");
    let id = result(body)["id"].as_str().expect("an id").to_owned();
    let mut events = BufReader::new(server.request(&format!("GET /v1/benchmarks/{id}/events"), ""));
    let mut line = String::new();
    while !line.contains("\"status\":\"running\"") {
        line.clear();
        assert!(events.read_line(&mut line).expect("events come") > 0, "it ended before it ran");
    }
    server.signal("-INT");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let again = hostler.serve(&[]);
    assert!(again.answer("GET /v1/benchmarks", "").contains("\"status\":\"cancelled\""));
}
