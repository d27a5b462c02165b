//! `hostler serve`: requests, logs and signals.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use crate::support::Hostler;

const CHAT: &str = "POST /v1/chat/completions";

fn chat(max_tokens: u32, stream: bool) -> String {
    let messages = r#"[{"role": "user", "content": "hello"}]"#;
    format!(r#"{{"model": "sim", "max_tokens": {max_tokens}, "stream": {stream}, "messages": {messages}}}"#)
}

#[test]
fn a_request_is_answered_counted_and_logged() {
    let hostler = Hostler::new();
    let server = hostler.serve(&["--log-format", "json"]);
    assert!(server.answer("GET /readyz", "").starts_with("HTTP/1.1 200"));
    let answer = server.answer(CHAT, &chat(3, false));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"completion_tokens\":3"), "{answer}");
    let metrics = server.answer("GET /metrics", "");
    assert!(metrics.contains("scheduler=\"sim\""), "{metrics}");

    server.signal("-INT");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let lines = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines: Vec<_> = lines.collect::<Result<_, _>>().expect("every line is JSON");
    let requests = lines.iter().filter(|line| line["route"] == "/v1/chat/completions").count();
    assert_eq!(requests, 1, "{log}");
}

#[test]
fn a_first_signal_completes_running_requests() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let mut answer = BufReader::new(server.request(CHAT, &chat(100, true)));
    read_first_event(&mut answer);
    server.signal("-TERM");
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("the answer goes on to its end");
    assert!(rest.contains("\"finish_reason\":\"length\"") && rest.contains("data: [DONE]"), "{rest}");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_signal_exits_immediately() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    // At 8.5 ms per token this takes longer than the timeout of the test.
    let mut answer = BufReader::new(server.request(CHAT, &chat(2000, true)));
    read_first_event(&mut answer);
    server.signal("-INT");
    // Connections are refused once the first signal has been handled.
    while TcpStream::connect(&server.address).is_ok() {}
    server.signal("-INT");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(130), "{log}");
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let ended = hostler.run(&["serve", "--engine", "simulated", "--model", "sim", "--address", &server.address]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&server.address), "{ended:?}");
}

fn read_first_event(answer: &mut impl BufRead) {
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(answer.read_line(&mut line).expect("it answers in time"), 0, "the stream ended before it began");
    }
}
