//! A gateway and its workers, run as an operator does.

use std::io::{BufRead, BufReader, Read};

use crate::support::{Hostler, Server};

const COMPLETIONS: &str = "POST /v1/completions";

fn body(max_tokens: u32, stream: bool) -> String {
    format!(r#"{{"model": "sim", "prompt": "hello", "max_tokens": {max_tokens}, "stream": {stream}}}"#)
}

pub(crate) fn worker(hostler: &Hostler, name: &str, listen: &str) -> Server {
    let simulated = ["worker", "--json", "--engine", "simulated", "--model", "sim"];
    hostler.start(&[&simulated[..], &["--name", name, "--listen", listen]].concat())
}

pub(crate) fn gateway(hostler: &Hostler, workers: &[&Server]) -> Server {
    let mut arguments = vec!["gateway", "--json", "--address", "127.0.0.1:0"];
    for worker in workers {
        arguments.extend(["--worker", worker.url.as_str()]);
    }
    let server = hostler.start(&arguments);
    while !server.answer("GET /readyz", "").starts_with("HTTP/1.1 200") {}
    server
}

fn begun(server: &Server, max_tokens: u32) -> BufReader<std::net::TcpStream> {
    let mut answer = BufReader::new(server.request(COMPLETIONS, &body(max_tokens, true)));
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(answer.read_line(&mut line).expect("it answers in time"), 0, "the stream ended before it began");
    }
    answer
}

#[test]
fn a_worker_that_is_told_to_exit_completes_running_requests() {
    let hostler = Hostler::new();
    let socket = format!("unix:{}/worker.sock", hostler.folder.path().display());
    let worker = worker(&hostler, "w1", &socket);
    assert_eq!(worker.url, socket);
    let gateway = gateway(&hostler, &[&worker]);
    let mut answer = begun(&gateway, 100);
    worker.signal("-TERM");
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("the answer goes on to its end");
    assert!(rest.contains("\"finish_reason\":\"length\"") && rest.contains("[DONE]"), "{rest}");
    let (status, log) = worker.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    while gateway.answer("GET /readyz", "").starts_with("HTTP/1.1 200") {}
    gateway.signal("-TERM");
    let (status, log) = gateway.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn workers_serve_the_other_gateway_when_one_exits() {
    let hostler = Hostler::new();
    let worker = worker(&hostler, "w1", "127.0.0.1:0");
    let (first, second) = (gateway(&hostler, &[&worker]), gateway(&hostler, &[&worker]));
    first.signal("-TERM");
    let (status, log) = first.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let answer = second.answer(COMPLETIONS, &body(3, false));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-hostler-scheduler: w1.sim"), "{answer}");
}

#[test]
fn a_missing_required_key_is_named() {
    let hostler = Hostler::new();
    let ended = hostler.run(&["gateway", "--address", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("cluster.workers"), "{ended:?}");
    let ended = hostler.run(&["gateway", "--worker", "10.0.0.2:7070"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("http://HOST:PORT"), "{ended:?}");
    let ended = hostler.run(&["worker", "--engine", "simulated", "--model", "m", "--listen", "here"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("unix:/PATH"), "{ended:?}");
    let ended = hostler.run(&["worker", "--engine", "simulated", "--model", "m", "--listen", "0.0.0.0:0"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("worker.open_to_everyone"), "{ended:?}");
    let ended = hostler.run(&["gateway", "--worker", "http://127.0.0.1:1", "--address", "0.0.0.0:0"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("server.open_to_everyone"), "{ended:?}");
    let hostler = hostler.with("HOSTLER_WORKER__TLS__CERTIFICATE", "/no/such/file");
    let ended = hostler.run(&["worker", "--engine", "simulated", "--model", "m"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("worker.tls.key"), "{ended:?}");
}
