//! `hostler status`: its output, and its errors if there is nothing to show.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::cluster::{gateway, worker};
use crate::isolation;
use crate::isolation::eventually;
use crate::support::{Ended, Hostler, Server, signal};

fn status(hostler: &Hostler, url: &str, more: &[&str]) -> Ended {
    hostler.run(&[&["status", "--url", url][..], more].concat())
}

/// Its output in JSON, which is one line.
fn cluster_of(hostler: &Hostler, server: &Server) -> Value {
    let ended = status(hostler, &server.url, &["--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    serde_json::from_str(&ended.stdout).expect("it is JSON")
}

#[test]
fn one_process_is_shown_as_tables_and_as_json() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let ended = status(&hostler, &server.url, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for expected in ["everything in one process", "this process", "connected", "sim ", "simulated", "serving", "0/8"] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no colours without a terminal: {}", ended.stdout);
    let cluster = cluster_of(&hostler, &server);
    assert_eq!(cluster["gateway"]["membership"], "in-process");
    assert_eq!(cluster["nodes"][0]["schedulers"], serde_json::json!(["sim"]));
    assert_eq!(cluster["schedulers"][0]["node"], cluster["nodes"][0]["name"]);
}

#[test]
fn child_processes_are_separate_nodes() {
    let hostler = Hostler::new();
    let server = isolation::serve(&hostler);
    let cluster = cluster_of(&hostler, &server);
    let nodes = cluster["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 3, "{cluster}");
    for (node, scheduler) in nodes[1..].iter().zip(["a", "b"]) {
        assert_eq!((&node["state"], &node["schedulers"][0]), (&"connected".into(), &scheduler.into()), "{node}");
        assert!(node["endpoint"].as_str().is_some_and(|endpoint| endpoint.starts_with("unix:")), "{node}");
    }
    assert_eq!(cluster["schedulers"][1]["node"], nodes[2]["name"], "{cluster}");
}

#[test]
fn a_killed_worker_is_lost_and_the_age_of_its_heartbeat_grows() {
    let hostler = Hostler::new();
    let (first, second) = (worker(&hostler, "w1", "127.0.0.1:0"), worker(&hostler, "w2", "127.0.0.1:0"));
    let gateway = gateway(&hostler, &[&first, &second]);
    let cluster = eventually("both have joined", || {
        let cluster = cluster_of(&hostler, &gateway);
        let joined = cluster["schedulers"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(is_joined));
        joined.then_some(cluster)
    });
    assert_eq!(cluster["gateway"]["membership"], "static");
    let connected = node(&cluster, "w1");
    assert_eq!((&connected["state"], &connected["endpoint"]), (&"connected".into(), &first.url.as_str().into()));
    assert!(connected["version"].is_string(), "{cluster}");

    first.signal("-KILL");
    let lost = eventually("it is lost", || {
        let cluster = cluster_of(&hostler, &gateway);
        (node(&cluster, "w1")["state"] == "lost").then_some(cluster)
    });
    assert!(node(&lost, "w1")["failure"].as_str().is_some_and(|why| !why.is_empty()), "{lost}");
    assert_eq!(node(&lost, "w2")["state"], "connected");
    let failed = lost["schedulers"].as_array().and_then(|all| all.iter().find(|one| one["id"] == "w1.sim"));
    assert!(failed.is_some_and(|failed| failed["state"] == "failed" && failed["node"] == "w1"), "{lost}");
    let age = |cluster: &Value| node(cluster, "w1")["last_sign_of_life_seconds"].as_f64().expect("a number");
    assert!(age(&cluster_of(&hostler, &gateway)) > age(&lost));
    let ended = status(&hostler, &gateway.url, &[]);
    let row = ended.stdout.lines().find(|line| line.starts_with("w1 ")).expect("it has a row");
    assert!(row.contains("lost") && row.contains(&first.url), "{row}");
}

fn node<'a>(cluster: &'a Value, name: &str) -> &'a Value {
    let named = cluster["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == name));
    named.unwrap_or_else(|| panic!("node {name} does not exist: {cluster}"))
}

fn is_joined(scheduler: &Value) -> bool {
    scheduler["joined"] == true
}

/// Starts `--watch` with its output in pipes.
fn watching(hostler: &Hostler, server: &Server, more: &[&str]) -> Child {
    let arguments = [&["status", "--watch", "--interval", "0.1", "--url", &server.url][..], more].concat();
    hostler.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs")
}

#[test]
fn watch_runs_until_a_signal_even_if_the_server_becomes_unavailable() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let mut child = watching(&hostler, &server, &["--json"]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for _ in 0..3 {
        let line = lines.next().expect("it continues").expect("it is text");
        let cluster: Value = serde_json::from_str(&line).expect("each line is JSON");
        assert_eq!(cluster["nodes"][0]["state"], "connected");
    }
    drop(server);
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    for _ in 0..2 {
        let line = errors.next().expect("it continues").expect("it is text");
        let error: Value = serde_json::from_str(&line).expect("each line is JSON");
        assert!(error["error"].as_str().is_some_and(|message| message.contains("/admin/cluster")), "{line}");
    }
    signal("-INT", child.id());
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn watch_without_a_terminal_appends_tables_and_ends_when_the_pipe_closes() {
    let hostler = Hostler::new();
    let server = hostler.serve(&[]);
    let mut child = watching(&hostler, &server, &[]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut headlines = 0;
    while headlines < 2 {
        let line = lines.next().expect("it continues").expect("it is text");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        headlines += usize::from(line.starts_with("gateway "));
    }
    drop(lines);
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("it is text");
    assert_eq!(stderr, "");
}

#[test]
fn an_admin_key_is_required_if_keys_are_configured() {
    let hostler = Hostler::new();
    let file = hostler.folder.path().join("keys.toml");
    let keys = "[server.api_keys]\nalice = { key = \"alices-key\" }\nroot = { key = \"the-roots-key\", role = \"observer\" }\n";
    std::fs::write(&file, keys).expect("it is writable");
    let server = hostler.serve(&["--config", file.to_str().expect("plain names")]);
    for (key, status_code) in
        [(&[][..], "401"), (&["--api-key", "wrong-key"], "401"), (&["--api-key", "alices-key"], "403")]
    {
        let ended = status(&hostler, &server.url, key);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(status_code) && ended.stderr.contains("--api-key"), "{ended:?}");
        assert!(key.is_empty() || !ended.stderr.contains(key[1]), "{ended:?}");
    }
    // A refusal is final, so `--watch` ends too.
    assert_eq!(status(&hostler, &server.url, &["--watch"]).code, Some(1));
    assert_eq!(status(&hostler, &server.url, &["--api-key", "the-roots-key"]).code, Some(0));
    let hostler = hostler.with("HOSTLER_API_KEY", "the-roots-key");
    assert_eq!(status(&hostler, &server.url, &[]).code, Some(0));
}

/// Starts a server that sends the same response to every request, and returns its URL.
fn other_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = BufReader::new(&connection).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // The client may have closed the connection.
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn the_error_names_the_url_if_no_hostler_responds() {
    let hostler = Hostler::new();
    let page = other_server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html");
    let other = other_server("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}");
    for url in [page, other] {
        let ended = status(&hostler, &url, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(&url) && ended.stderr.contains("Hostler"), "{ended:?}");
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    for more in [&[][..], &["--watch"]] {
        let ended = status(&hostler, &format!("http://{free}"), more);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(&free.to_string()) && ended.stderr.contains("refused"), "{ended:?}");
    }
}

#[test]
fn invalid_options_exit_with_2() {
    let hostler = Hostler::new();
    for wrong in [&["--url", "127.0.0.1:8080"][..], &["--interval", "2"], &["--watch", "--interval", "0"]] {
        let ended = hostler.run(&[&["status"], wrong].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}
