//! Streams: when heads and chunks are sent, how failures appear, what happens when a client
//! disconnects.

use std::net::Shutdown;

use serde_json::{Value, json};

use crate::client::within;
use crate::harness::{Harness, chat, with};

fn streamed(content: &str) -> Value {
    with(chat(content), json!({"stream": true}))
}

/// The text of the chunks of one choice.
fn text(chunks: &[Value], choice: u64) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().cloned().unwrap_or_default());
    let of_choice = choices.filter(|one| one["index"] == json!(choice));
    of_choice.filter_map(|one| one["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[actix_web::test]
async fn a_stream_has_the_same_text_as_the_whole_answer() {
    let harness = Harness::start().await;
    let whole = harness.post("/v1/chat/completions", &chat("hello")).await;
    let stream = harness.post("/v1/chat/completions", &streamed("hello")).await;
    assert_eq!(whole.json()["choices"][0]["message"]["content"], json!("one two three four!"));
    assert_eq!(text(&stream.chunks(), 0), "one two three four!");
    for response in [&whole, &stream] {
        assert_eq!(response.head.header("x-hostler-scheduler"), Some("demo-0"));
        assert_eq!(response.head.header("x-hostler-engine"), Some("simulated"));
    }
    let timing = whole.head.header("server-timing").expect("on every response");
    assert!(timing.starts_with("queue;dur=1.500, prefill;dur=20.000, decode;dur=30.000, total;dur="), "{timing}");
    let head_timing = stream.head.header("server-timing").expect("on every response");
    assert!(head_timing.contains("queue;dur=") && head_timing.contains("prefill;dur="), "{head_timing}");
    assert!(stream.body.contains("\n\n: server-timing queue;dur=1.500, prefill;dur=20.000, decode;dur=30.000, total"));
}

#[actix_web::test]
async fn the_comment_of_a_stream_is_in_the_same_block_as_done() {
    let harness = Harness::start().await;
    let prompt = json!({"prompt": "hello", "stream": true});
    for (path, body) in
        [("/v1/chat/completions", &streamed("hello")), ("/v1/completions", &prompt), ("/generate_stream", &prompt)]
    {
        let response = harness.post(path, body).await;
        let last = response.body.split_terminator("\n\n").last().expect("a block");
        let lines: Vec<_> = last.lines().collect();
        assert!(matches!(lines[..], [comment, "data: [DONE]"] if comment.starts_with(": server-timing ")), "{last}");
        assert_eq!(response.events().last(), Some(&(None, "[DONE]")), "{path}");
    }
}

#[actix_web::test]
async fn a_failure_before_the_first_token_sets_the_status() {
    let harness = Harness::start().await;
    for (content, status, code) in
        [("fail at once", 502, "engine_failed"), ("too long", 400, "invalid_request"), ("refuse", 429, "overloaded")]
    {
        for body in [chat(content), streamed(content)] {
            let response = harness.post("/v1/chat/completions", &body).await;
            assert_eq!(response.head.status, status, "{body}");
            assert_eq!(response.error("code"), json!(code), "{body}");
        }
    }
    harness.alive(0).await;
}

#[actix_web::test]
async fn a_failure_after_the_first_token_is_an_error_event() {
    let harness = Harness::start().await;
    let response = harness.post("/v1/chat/completions", &streamed("fail later")).await;
    assert_eq!(response.head.status, 200);
    assert_eq!(text(&response.chunks(), 0), "one two");
    let events = response.events();
    let [.., (Some("error"), error), (None, "[DONE]")] = events[..] else { panic!("{events:?}") };
    let error: Value = serde_json::from_str(error).expect("JSON");
    assert_eq!(error["error"]["code"], json!("engine_failed"));
    let whole = harness.post("/v1/chat/completions", &chat("fail later")).await;
    assert_eq!(whole.head.status, 502);
}

#[actix_web::test]
async fn a_token_is_sent_as_soon_as_it_is_generated() {
    let harness = Harness::start().await;
    let mut connection = harness.connect().await;
    let body = streamed("gated").to_string();
    connection.send("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    harness.scheduler.gate.add_permits(1);
    let head = connection.head().await;
    assert_eq!(head.status, 200);
    let first = connection.chunk().await.expect("the first token");
    assert!(first.contains("\"one\"") && !first.contains("two"), "{first}");
    harness.scheduler.gate.add_permits(1);
    let second = connection.chunk().await.expect("the second token");
    assert!(second.contains("\" two\"") && !second.contains("three"), "{second}");
    harness.scheduler.gate.add_permits(2);
    assert!(connection.body(&head).await.ends_with("data: [DONE]\n\n"));
}

#[actix_web::test]
async fn a_client_that_disconnects_ends_its_generation_at_once() {
    let harness = Harness::start().await;
    let disconnects = r#"hostler_http_disconnects_total{route="/generate"}"#;
    let before = harness.metric(disconnects).await;
    for stream in [true, false] {
        let body = json!({"prompt": "gated", "stream": stream}).to_string();
        let mut connection = harness.connect().await;
        connection.send("POST", "/generate", &[], body.as_bytes()).await;
        harness.alive(1).await;
        if stream {
            harness.scheduler.gate.add_permits(1);
            assert_eq!(connection.head().await.status, 200);
            connection.chunk().await.expect("the first token");
        }
        // No further token is generated, so no write can fail: the server must notice the closed
        // connection itself.
        drop(connection);
        harness.alive(0).await;
    }
    assert!(harness.metric(disconnects).await >= before + 2.0);
}

#[actix_web::test]
async fn a_half_closed_connection_counts_as_disconnected() {
    let harness = Harness::start().await;
    let stream = std::net::TcpStream::connect(harness.address).expect("the gateway listens");
    let body = json!({"prompt": "gated"}).to_string();
    let request = format!("POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    std::io::Write::write_all(&mut &stream, request.as_bytes()).expect("the gateway reads");
    harness.alive(1).await;
    stream.shutdown(Shutdown::Write).expect("connected");
    harness.alive(0).await;
}

#[actix_web::test]
async fn a_client_that_never_reads_does_not_delay_others() {
    let harness = Harness::start().await;
    let mut stalled = harness.connect().await;
    // Far more than fits in the buffers of the sockets.
    let body = json!({"prompt": "long", "max_tokens": 400_000, "stream": true}).to_string();
    stalled.send("POST", "/generate", &[], body.as_bytes()).await;
    harness.alive(1).await;
    for _ in 0..20 {
        let response = within("another client's answer", harness.post("/generate", &json!({"prompt": "hi"}))).await;
        assert_eq!(response.head.status, 200);
    }
    drop(stalled);
    harness.alive(0).await;
}

#[actix_web::test]
async fn several_answers_are_streamed_concurrently() {
    let harness = Harness::start().await;
    let body = with(streamed("hello"), json!({"n": 3, "seed": 5, "stream_options": {"include_usage": true}}));
    let response = harness.post("/v1/chat/completions", &body).await;
    let chunks = response.chunks();
    for choice in 0..3 {
        assert_eq!(text(&chunks, choice), "one two three four!", "choice {choice}");
    }
    let ids: Vec<_> = chunks.iter().map(|chunk| &chunk["id"]).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    let usage = &chunks.last().expect("chunks")["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(5), &json!(12)));
    let requests = harness.scheduler.requests.lock().expect("not poisoned").clone();
    let seeds: Vec<_> = requests.iter().map(|request| request.sampling.seed).collect();
    assert_eq!(seeds, [Some(5), Some(6), Some(7)]);
}

#[actix_web::test]
async fn prompts_times_n_answers_are_in_order() {
    let harness = Harness::start().await;
    let body = json!({"prompt": ["a", "bcd"], "n": 2, "max_tokens": 1});
    let answer = harness.post("/v1/completions", &body).await.json();
    let indices: Vec<_> =
        answer["choices"].as_array().expect("a list").iter().map(|one| one["index"].clone()).collect();
    assert_eq!(indices, [json!(0), json!(1), json!(2), json!(3)]);
    assert_eq!(answer["usage"]["prompt_tokens"], json!(4));
    assert_eq!(answer["usage"]["completion_tokens"], json!(4));
    let refused = harness.post("/v1/completions", &json!({"prompt": ["a", "b", "c"], "n": 43})).await;
    assert_eq!((refused.head.status, refused.error("param")), (400, json!("prompt")));
}

#[actix_web::test]
async fn more_answers_than_are_generated_at_a_time_follow_in_order() {
    let harness = Harness::start().await;
    let prompts: Vec<String> = (0..30).map(|index| "p".repeat(index + 1)).collect();
    let answer = harness.post("/v1/completions", &json!({"prompt": prompts, "max_tokens": 1})).await.json();
    assert_eq!(answer["choices"].as_array().map(Vec::len), Some(30), "{answer}");
    assert_eq!(answer["usage"]["prompt_tokens"], json!((1..=30).sum::<u32>()));
    let submitted = harness.scheduler.requests.lock().expect("not poisoned").len();
    assert_eq!(submitted, 30);

    // Of ten that do not end, eight are submitted; cancelling the request submits no other.
    let mut connection = harness.connect().await;
    let body = json!({"prompt": vec!["gated"; 10], "stream": true}).to_string();
    connection.send("POST", "/v1/completions", &[], body.as_bytes()).await;
    harness.scheduler.gate.add_permits(1);
    assert_eq!(connection.head().await.status, 200);
    assert_eq!(harness.scheduler.requests.lock().expect("not poisoned").len(), 30 + 8);
    drop(connection);
    harness.alive(0).await;
    assert_eq!(harness.scheduler.requests.lock().expect("not poisoned").len(), 30 + 8);
}

#[actix_web::test]
async fn a_request_is_cancelled_by_the_id_in_its_response() {
    let harness = Harness::start().await;
    let mut connection = harness.connect().await;
    let body = with(streamed("gated"), json!({"n": 2})).to_string();
    connection.send("POST", "/v1/chat/completions", &[], body.as_bytes()).await;
    harness.scheduler.gate.add_permits(1);
    assert_eq!(connection.head().await.status, 200);
    let first = connection.chunk().await.expect("the first token");
    let start = first.find("chatcmpl-").expect("an id");
    let id = &first[start..start + "chatcmpl-".len() + 32];
    let response = harness.send("DELETE", &format!("/v1/requests/{id}"), &[], b"").await;
    assert_eq!(response.json(), json!({"id": id, "object": "request", "cancelled": true}));
    let wanted: Vec<_> = harness.scheduler.requests.lock().expect("not poisoned").iter().map(|one| one.id).collect();
    assert_eq!(*harness.scheduler.cancelled.lock().expect("not poisoned"), wanted);
    drop(connection);
    harness.alive(0).await;
    let gone = harness.send("DELETE", &format!("/v1/requests/{id}"), &[], b"").await;
    assert_eq!(gone.head.status, 404);
    let nonsense = harness.send("DELETE", "/v1/requests/nonsense", &[], b"").await;
    assert_eq!(nonsense.head.status, 400);
}
