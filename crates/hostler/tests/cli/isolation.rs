//! Schedulers in processes of their own: what a crash costs, and when the processes exit.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use crate::support::{Hostler, Server, signal};

const COMPLETIONS: &str = "POST /v1/completions";

/// Timeout of each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two schedulers, each in a process of its own.
const TWO: &str = "\
[scheduler]
engine = \"simulated\"
isolation = \"process\"
recovery = { restart_backoff_ms = 10 }
[schedulers.a]
model = \"a\"
device = \"cpu:0\"
[schedulers.b]
model = \"b\"
device = \"cpu\"
";

pub(crate) fn serve(hostler: &Hostler) -> Server {
    serve_as(hostler, TWO)
}

fn serve_as(hostler: &Hostler, configuration: &str) -> Server {
    let file = hostler.folder.path().join("hostler.toml");
    fs::write(&file, configuration).expect("it is writable");
    hostler.start(&["serve", "--json", "--address", "127.0.0.1:0", "--config", file.to_str().expect("plain names")])
}

fn body(model: &str, max_tokens: u32, stream: bool) -> String {
    format!(r#"{{"model": "{model}", "prompt": "hello", "max_tokens": {max_tokens}, "stream": {stream}}}"#)
}

pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not reached: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The process ids of the children of a process.
fn children(parent: u32) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
        let listed = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(listed.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found
}

/// Whether a process runs. A zombie does not.
fn runs(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

fn cores(process: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap_or_default().trim().to_owned()
}

fn schedulers(server: &Server) -> serde_json::Value {
    let answer = server.answer("GET /admin/schedulers", "");
    let (_, body) = answer.split_once("\r\n\r\n").expect("it has a body");
    serde_json::from_str(body).expect("it is JSON")
}

fn first_token(answer: &mut impl BufRead) {
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(answer.read_line(&mut line).expect("it answers in time"), 0, "the stream ended before it began");
    }
}

#[test]
fn each_scheduler_has_a_process_on_its_cores_and_all_metrics_are_on_one_page() {
    let hostler = Hostler::new();
    let server = serve(&hostler);
    for model in ["a", "b"] {
        let answer = server.answer(COMPLETIONS, &body(model, 3, false));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"completion_tokens\":3"), "{answer}");
        assert!(answer.contains(&format!("x-hostler-scheduler: {model}")), "{answer}");
    }
    let processes = children(server.id());
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().any(|&process| cores(process) == "0"), "one is bound to core 0");
    for model in ["a", "b"] {
        let tokens = "hostler_scheduler_generation_tokens_total{";
        eventually("the metrics of both come along", || {
            let page = server.answer("GET /metrics", "");
            let mut lines = page.lines().filter(|line| line.starts_with(tokens));
            lines.any(|line| line.contains(&format!("scheduler=\"{model}\"")) && line.ends_with(" 3")).then_some(())
        });
    }
    let page = server.answer("GET /metrics", "");
    assert_eq!(page.matches("# TYPE hostler_scheduler_generation_tokens_total").count(), 1);
    server.signal("-TERM");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.lines().any(|line| line.starts_with("a: ")), "a child's lines have its name: {log}");
    assert!(processes.iter().all(|&process| !runs(process)), "a child is left");
}

#[test]
fn a_child_that_is_killed_fails_only_its_own_requests_and_is_restarted() {
    let hostler = Hostler::new();
    let server = serve(&hostler);
    let (mut of_a, mut of_b) = (
        BufReader::new(server.request(COMPLETIONS, &body("a", 2000, true))),
        BufReader::new(server.request(COMPLETIONS, &body("b", 150, true))),
    );
    first_token(&mut of_a);
    first_token(&mut of_b);
    let victim = children(server.id()).into_iter().find(|&process| cores(process) == "0").expect("a is bound to it");
    signal("-KILL", victim);
    let (mut lost, mut kept) = (String::new(), String::new());
    of_a.read_to_string(&mut lost).expect("it ends");
    of_b.read_to_string(&mut kept).expect("it goes on");
    assert!(lost.contains("\"error\"") && lost.contains("[DONE]"), "{lost}");
    assert!(kept.contains("\"finish_reason\":\"length\"") && !kept.contains("\"error\""), "{kept}");
    eventually("another one answers", || {
        server.answer(COMPLETIONS, &body("a", 3, false)).starts_with("HTTP/1.1 200").then_some(())
    });
    let now = schedulers(&server);
    assert_eq!((&now["data"][0]["id"], &now["data"][0]["restarts"]), (&"a".into(), &1.into()), "{now}");
    assert_eq!(now["data"][1]["restarts"], 0, "{now}");
    assert!(!children(server.id()).contains(&victim));
}

#[test]
fn children_die_with_a_parent_that_is_killed() {
    let hostler = Hostler::new();
    let server = serve(&hostler);
    let processes = children(server.id());
    assert_eq!(processes.len(), 2);
    // A stopped process cannot exit by itself.
    signal("-STOP", processes[1]);
    signal("-KILL", server.id());
    eventually("no child runs", || processes.iter().all(|&process| !runs(process)).then_some(()));
}

#[test]
fn a_child_that_hangs_is_detected() {
    let hostler = Hostler::new();
    let server = serve(&hostler);
    let mut answer = BufReader::new(server.request(COMPLETIONS, &body("a", 2000, true)));
    first_token(&mut answer);
    let hung = children(server.id()).into_iter().find(|&process| cores(process) == "0").expect("a is bound to it");
    signal("-STOP", hung);
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("its end is told");
    assert!(rest.contains("\"error\""), "{rest}");
    assert_eq!(schedulers(&server)["data"][0]["state"], "failed");
    signal("-CONT", hung);
    eventually("it serves again", || {
        server.answer(COMPLETIONS, &body("a", 3, false)).starts_with("HTTP/1.1 200").then_some(())
    });
}

/// The process of scheduler `a`, which is the one that is bound to core 0.
fn process_of_a(server: &Server) -> Option<u32> {
    children(server.id()).into_iter().find(|&process| cores(process) == "0")
}

/// Waits until `a` has another process than `before`, and answers.
fn is_replaced(server: &Server, before: u32) {
    eventually("another process answers", || {
        let process = process_of_a(server).filter(|&process| process != before)?;
        let answers = server.answer(COMPLETIONS, &body("a", 3, false)).starts_with("HTTP/1.1 200");
        answers.then_some(process)
    });
    assert!(!runs(before), "the process {before} is left");
    let now = schedulers(server);
    assert_eq!((&now["data"][0]["id"], &now["data"][0]["restarts"]), (&"a".into(), &1.into()), "{now}");
}

#[test]
fn a_child_that_sends_no_heartbeats_is_killed_and_replaced() {
    let hostler = Hostler::new();
    let server = serve_as(&hostler, &TWO.replace("recovery = { ", "recovery = { watchdog_seconds = 1, "));
    let silent = eventually("it runs", || process_of_a(&server));
    signal("-STOP", silent);
    is_replaced(&server, silent);
}

#[test]
fn a_child_ends_with_its_engine() {
    let hostler = Hostler::new();
    let faulty = "device = \"cpu:0\"\nsimulated = { faults = { engine = { kind = \"hang\", after_tokens = 20 } } }\n";
    let configuration = TWO.replace("recovery = { ", "recovery = { watchdog_seconds = 1, ");
    let server = serve_as(&hostler, &configuration.replace("device = \"cpu:0\"\n", faulty));
    let hung = eventually("it runs", || process_of_a(&server));
    let answer = server.answer(COMPLETIONS, &body("a", 30, false));
    assert!(answer.contains("has completed no step for"), "{answer}");
    is_replaced(&server, hung);
}
