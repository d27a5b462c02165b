//! Malformed and invalid bodies.

use hostler_gateway::ServerConfig;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::client::Response;
use crate::harness::{Harness, chat, with};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn chat_raw(harness: &Harness, body: &[u8]) -> Response {
    harness.send("POST", "/v1/chat/completions", &[JSON], body).await
}

#[actix_web::test]
async fn an_error_names_the_path_of_every_invalid_value() {
    let harness = Harness::start().await;
    let cases: [(&str, Value); 31] = [
        ("temperature", json!({"temperature": "hot"})),
        ("temperature", json!({"temperature": -0.1})),
        ("temperature", json!({"temperature": 1e300})),
        ("top_p", json!({"top_p": 0})),
        ("top_p", json!({"top_p": [0.5]})),
        ("top_k", json!({"top_k": -5})),
        ("top_k", json!({"top_k": 1.5})),
        ("min_p", json!({"min_p": 2})),
        ("max_tokens", json!({"max_tokens": 0})),
        ("max_completion_tokens", json!({"max_completion_tokens": 0})),
        ("max_tokens", json!({"max_tokens": -1})),
        ("max_tokens", json!({"max_tokens": 99_999_999_999_u64})),
        ("max_tokens", json!({"max_tokens": true})),
        ("min_tokens", json!({"max_tokens": 1, "min_tokens": 2})),
        ("n", json!({"n": 0})),
        ("seed", json!({"seed": 1.5})),
        ("stream", json!({"stream": "yes"})),
        ("stop", json!({"stop": [""]})),
        ("stop[1]", json!({"stop": ["a", 1]})),
        ("logit_bias", json!({"logit_bias": {"1": 200}})),
        ("logit_bias.5", json!({"logit_bias": {"5": "x"}})),
        ("priority", json!({"priority": "now"})),
        ("timeout", json!({"timeout": -1})),
        ("messages", json!({"messages": "hello"})),
        ("messages[0]", json!({"messages": [["user", "hello"]]})),
        ("messages[0].content[0]", json!({"messages": [{"role": "user", "content": [["text", "hello"]]}]})),
        ("stream_options", json!({"stream": true, "stream_options": [true]})),
        ("response_format", json!({"response_format": ["text"]})),
        ("messages[0].role", json!({"messages": [{"role": "king", "content": "a"}]})),
        ("messages[0].content", json!({"messages": [{"role": "user", "content": 5}]})),
        (
            "messages[1].content[0].text",
            json!({"messages": [
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "text", "text": {}}]},
            ]}),
        ),
    ];
    for (param, fields) in cases {
        let response = harness.post("/v1/chat/completions", &with(chat("hello"), fields.clone())).await;
        assert_eq!(response.head.status, 400, "{fields}: {}", response.body);
        assert_eq!(response.error("param"), json!(param), "{fields}: {}", response.body);
        assert_eq!(response.error("code"), json!("invalid_request"));
    }
}

#[actix_web::test]
async fn an_error_locates_invalid_json() {
    let harness = Harness::start().await;
    let nested = [br#"{"messages": "#.to_vec(), b"[".repeat(5000)].concat();
    let cases: [(&[u8], &str, &str); 9] = [
        (b"", "body", "EOF"),
        (b"{", "body", "line 1 column 1"),
        (b"{\"temperature\": NaN}", "temperature", "line 1 column 17"),
        (b"{\"temperature\": Infinity}", "temperature", "line 1"),
        (b"{\"temperature\": 1e999}", "temperature", "out of range"),
        (b"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\xfe\"}]}", "messages[0].content", "line 1"),
        (b"[]", "body", "JSON object"),
        (b"null", "body", "JSON object"),
        (&nested, "messages", "messages"),
    ];
    for (body, param, message) in cases {
        let response = chat_raw(&harness, body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(response.head.status, 400, "{shown}");
        assert!(
            response.error("param").as_str().is_some_and(|found| found.starts_with(param)),
            "{shown}: {}",
            response.body
        );
        assert!(response.error("message").to_string().contains(message), "{shown}: {}", response.body);
    }
}

#[actix_web::test]
async fn the_nesting_of_a_schema_is_limited() {
    let harness = Harness::start().await;
    let deep = format!("{}{}", r#"{"a":"#.repeat(500), "1");
    let format = format!(r#"{{"type": "json_schema", "json_schema": {{"schema": {deep}"#);
    let body = format!(r#"{{"messages": [{{"role": "user", "content": "a"}}], "response_format": {format}"#);
    let response = chat_raw(&harness, body.as_bytes()).await;
    assert_eq!(response.head.status, 400);
    assert!(response.error("message").to_string().contains("recursion limit"), "{}", response.body);
}

#[actix_web::test]
async fn other_content_types_are_refused() {
    let harness = Harness::start().await;
    let body = chat("hello").to_string();
    let cases = [
        ("content-type", "application/x-www-form-urlencoded", "application/json", "accept"),
        ("content-type", "text/plain", "application/json", "accept"),
        ("content-type", "", "application/json", "accept"),
        ("content-encoding", "br", "must be gzip", "accept-encoding"),
    ];
    for path in ["/v1/chat/completions", "/generate", "/tokenize", "/v1/benchmarks"] {
        for (name, value, message, accepts) in cases {
            let response = harness.send("POST", path, &[(name, value)], body.as_bytes()).await;
            assert_eq!((response.head.status, response.error("param")), (415, json!(name)), "{path} {value}");
            assert_eq!(response.error("code"), json!("unsupported_media_type"));
            assert_eq!(response.error("type"), json!("invalid_request_error"));
            assert!(response.error("message").to_string().contains(message), "{}", response.body);
            assert!(response.head.header(accepts).is_some(), "{path} {value}");
        }
    }
    let accepted: [&[(&str, &str)]; 4] = [
        &[],
        &[("content-type", "application/json; charset=utf-8")],
        &[("content-type", "APPLICATION/JSON")],
        &[("content-encoding", "Identity")],
    ];
    for headers in accepted {
        let response = harness.send("POST", "/v1/chat/completions", headers, body.as_bytes()).await;
        assert_eq!(response.head.status, 200, "{headers:?}: {}", response.body);
    }
}

#[actix_web::test]
async fn a_compressed_body_is_accepted_within_the_limit_of_a_body() {
    let harness = Harness::start_with(|config| config.body_bytes_max = 4096).await;
    let compressed = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    let post =
        async |body: &[u8]| harness.send("POST", "/v1/chat/completions", &[("content-encoding", "gzip")], body).await;
    assert_eq!(post(&compressed(&chat("hello").to_string())).await.head.status, 200);
    let bomb = post(&compressed(&" ".repeat(3_000_000))).await;
    assert_eq!((bomb.head.status, bomb.error("code")), (413, json!("request_too_large")));
    let broken = post(b"\x1f\x8b\x08nothing").await;
    assert_eq!((broken.head.status, broken.error("param")), (400, json!("body")), "{}", broken.body);
    let plain = post(chat("hello").to_string().as_bytes()).await;
    assert_eq!((plain.head.status, plain.error("param")), (400, json!("body")), "{}", plain.body);
}

#[actix_web::test]
async fn a_stream_to_an_old_client_ends_with_its_connection() {
    let harness = Harness::start().await;
    let body = r#"{"messages": [{"role": "user", "content": "hello"}], "stream": true}"#;
    let mut connection = harness.connect().await;
    let head = format!("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.write(head.as_bytes()).await;
    let head = connection.head().await;
    assert_eq!((head.status, head.header("transfer-encoding"), head.header("content-length")), (200, None, None));
    let rest = connection.rest().await;
    assert!(rest.starts_with("data: ") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_discarded_and_refused() {
    let harness = Harness::start().await;
    let huge = vec![b'a'; 20 * 1024 * 1024];
    let mut connection = harness.connect().await;
    connection.send("POST", "/v1/chat/completions", &[JSON], &huge).await;
    let response = connection.response().await;
    assert_eq!((response.head.status, response.error("code")), (413, json!("request_too_large")));
    assert_eq!(response.error("param"), json!("body"));
    // The connection is still usable.
    connection.send("GET", "/livez", &[], b"").await;
    assert_eq!(connection.response().await.head.status, 200);
}

#[actix_web::test]
async fn the_body_limit_is_exact() {
    let body = chat("hello").to_string();
    let limit = body.len();
    let limited = move |config: &mut ServerConfig| config.body_bytes_max = limit;
    let harness = Harness::start_with(limited).await;
    assert_eq!(chat_raw(&harness, body.as_bytes()).await.head.status, 200);
    assert_eq!(chat_raw(&harness, format!("{body} ").as_bytes()).await.head.status, 413);
}

#[actix_web::test]
async fn a_body_that_does_not_arrive_times_out() {
    let slow = |config: &mut ServerConfig| config.body_timeout = std::time::Duration::from_millis(50);
    let harness = Harness::start_with(slow).await;
    let mut connection = harness.connect().await;
    connection.write(b"POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{").await;
    let response = connection.response().await;
    assert_eq!((response.head.status, response.error("param")), (400, json!("body")));
}

#[actix_web::test]
async fn every_post_endpoint_names_the_invalid_field() {
    let harness = Harness::start().await;
    let cases = [
        ("/v1/chat/completions", json!({}), "messages"),
        ("/v1/completions", json!({}), "prompt"),
        ("/v1/completions", json!({"prompt": []}), "prompt"),
        ("/v1/completions", json!({"prompt": "a", "logprobs": true}), "logprobs"),
        ("/v1/completions", json!({"prompt": "a", "logprobs": 21}), "logprobs"),
        ("/v1/completions", json!({"prompt": "a", "messages": []}), "messages"),
        ("/generate", json!({}), "prompt"),
        ("/generate", json!({"prompt": ["a", "b"]}), "prompt"),
        ("/generate", json!({"prompt": "a", "n": 2}), "n"),
        ("/generate_stream", json!({"prompt": "a", "stream": false}), "stream"),
        ("/tokenize", json!({}), "prompt"),
        ("/tokenize", json!({"prompt": "a", "messages": []}), "messages"),
        ("/detokenize", json!({"tokens": [-1]}), "tokens[0]"),
        ("/detokenize", json!({"tokens": [300]}), "tokens"),
        ("/encode", json!({}), "text"),
        ("/encode", json!({"text": 5}), "text"),
    ];
    for (path, body, param) in cases {
        let response = harness.post(path, &body).await;
        assert_eq!(response.head.status, 400, "{path} {body}: {}", response.body);
        assert_eq!(response.error("param"), json!(param), "{path} {body}: {}", response.body);
    }
}
