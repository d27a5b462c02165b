//! Anthropic's Messages API.

use hostler_config::UnknownFields;
use hostler_protocol::{Conversation, Prompt, Role};
use serde_json::{Value, json};

use crate::auth::keys;
use crate::client::Response;
use crate::harness::{Harness, with};

const PATH: &str = "/v1/messages";

/// A request with one message.
fn message(content: &str) -> Value {
    json!({"max_tokens": 4, "messages": [{"role": "user", "content": content}]})
}

/// Checks that a response is an error in Anthropic's shape, and returns its type and message.
fn error(response: &Response) -> (String, String) {
    let body = response.json();
    assert_eq!(body["type"], json!("error"), "{body}");
    assert_eq!(body["request_id"].as_str(), response.head.header("request-id"), "{body}");
    assert_eq!(body["error"].as_object().map(|error| error.len()), Some(2), "{body}");
    let text = |field: &str| body["error"][field].as_str().expect("a text").to_owned();
    (text("type"), text("message"))
}

#[actix_web::test]
async fn a_whole_message_has_its_text_its_end_and_its_usage() {
    let harness = Harness::start().await;
    let fields = json!({
        "model": "demo", "system": "Be brief.", "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "stop_sequences": ["END"], "metadata": {"user_id": "u"}, "thinking": {"type": "disabled"},
        "cache_control": {"type": "ephemeral"}, "tools": [],
    });
    let response = harness.post(PATH, &with(message("hello"), fields)).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    let body = response.json();
    assert!(body["id"].as_str().is_some_and(|id| id.starts_with("msg_")), "{body}");
    let expected = json!({
        "id": body["id"], "type": "message", "role": "assistant", "model": "demo",
        "content": [{"type": "text", "text": "one two three four"}],
        "stop_reason": "max_tokens", "stop_sequence": null,
        "usage": {"input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1, "output_tokens": 4},
    });
    assert_eq!(body, expected);
    assert_eq!(response.head.header("x-hostler-ignored"), Some("metadata"));
    assert_eq!(response.head.header("request-id"), response.head.header("x-request-id"));
    let request = harness.scheduler.last();
    assert_eq!(request.stop.max_tokens, Some(4));
    assert_eq!(request.stop.sequences, ["END"]);
    assert_eq!(request.sampling.top_k, Some(3));
    let Prompt::Chat(Conversation { messages, .. }) = request.prompt else { panic!("it is a chat") };
    assert_eq!(messages.iter().map(|message| message.role).collect::<Vec<_>>(), [Role::System, Role::User]);
}

#[actix_web::test]
async fn a_stream_has_anthropics_events() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &with(message("hello"), json!({"stream": true}))).await;
    response.assert_is_event_stream();
    let events = response.events();
    let names: Vec<_> = events.iter().map(|(name, _)| name.expect("every event has a name")).collect();
    let delta = "content_block_delta";
    let expected = ["message_start", "ping", "content_block_start", delta, delta, delta, delta];
    assert_eq!(names, [&expected[..], &["content_block_stop", "message_delta", "message_stop"]].concat());
    let chunks = response.chunks();
    assert!(chunks.iter().zip(&names).all(|(chunk, name)| chunk["type"] == json!(name)), "{chunks:?}");
    assert_eq!(chunks[0]["message"]["content"], json!([]));
    assert_eq!(chunks[0]["message"]["stop_reason"], json!(null));
    assert_eq!(chunks[0]["message"]["usage"]["input_tokens"], json!(5));
    assert_eq!(chunks[2]["content_block"], json!({"type": "text", "text": ""}));
    let text: String = chunks.iter().filter_map(|chunk| chunk["delta"]["text"].as_str()).collect();
    assert_eq!(text, "one two three four");
    let end = &chunks[chunks.len() - 2];
    assert_eq!(end["delta"], json!({"stop_reason": "max_tokens", "stop_sequence": null}));
    let whole = harness.post(PATH, &message("hello")).await;
    assert_eq!(end["usage"], whole.json()["usage"]);
    assert!(!response.body.contains("[DONE]"), "Anthropic's streams do not end with it");
}

#[actix_web::test]
async fn a_stop_sequence_is_reported() {
    let harness = Harness::start().await;
    let stopped = with(message("stopped"), json!({"stop_sequences": ["END"]}));
    let whole = harness.post(PATH, &stopped).await.json();
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    let stream = harness.post(PATH, &with(stopped, json!({"stream": true}))).await;
    let end = json!({"stop_reason": "stop_sequence", "stop_sequence": "END"});
    assert!(stream.chunks().iter().any(|chunk| chunk["delta"] == end), "{}", stream.body);
}

#[actix_web::test]
async fn a_failure_after_the_first_token_is_the_last_event() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &with(message("fail later"), json!({"stream": true}))).await;
    let events = response.events();
    let Some((Some("error"), last)) = events.last() else { panic!("{events:?}") };
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")));
    assert_eq!(last["request_id"].as_str(), response.head.header("request-id"));
}

#[actix_web::test]
async fn every_error_has_anthropics_shape() {
    let harness = Harness::start().await;
    let tool = json!([{"name": "f f", "input_schema": {"type": "object"}}]);
    let search = json!([{"name": "web_search", "type": "web_search_20250305"}]);
    let text = json!([{"name": "f", "input_schema": {"type": "string"}}]);
    let image = json!([{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]);
    let many: Vec<String> = (0..17).map(|index| index.to_string()).collect();
    let invalid = [
        ("max_tokens", json!({"max_tokens": null})),
        ("messages", json!({"messages": []})),
        ("messages", json!({"messages": null})),
        ("messages[0].content[0].type", json!({"messages": image})),
        ("tools[0].name", json!({"tools": tool})),
        ("tools[0].type", json!({"tools": search})),
        ("tools[0].input_schema", json!({"tools": text})),
        ("tools[0].input_schema", json!({"tools": [{"name": "f"}]})),
        ("tool_choice", json!({"tool_choice": {"type": "any"}})),
        ("tool_choice.type", json!({"tool_choice": {"type": "all"}})),
        ("tool_choice.name", json!({"tool_choice": {"type": "tool"}})),
        ("thinking.type", json!({"thinking": {"type": "maximal"}})),
        ("temperature", json!({"temperature": 3})),
        ("stop_sequences", json!({"stop_sequences": many})),
        ("max_tokenz", json!({"max_tokenz": 3})),
    ];
    for (field, fields) in invalid {
        let response = harness.post(PATH, &with(message("hello"), fields)).await;
        assert_eq!(response.head.status, 400, "{field}: {}", response.body);
        let (kind, message) = error(&response);
        assert_eq!(kind, "invalid_request_error", "{field}");
        assert!(message.contains(field), "{message} does not name {field}");
    }
    for (content, status, kind) in [("fail at once", 502, "api_error"), ("refuse", 429, "rate_limit_error")] {
        let response = harness.post(PATH, &message(content)).await;
        assert_eq!((response.head.status, error(&response).0.as_str()), (status, kind), "{content}");
    }
    let unknown = harness.post(PATH, &with(message("hello"), json!({"model": "other"}))).await;
    assert_eq!((unknown.head.status, error(&unknown).0.as_str()), (404, "not_found_error"));
    for (method, path, headers, status, kind) in [
        ("GET", PATH, vec![], 405, "invalid_request_error"),
        ("GET", "/v1/messages/batches", vec![], 404, "not_found_error"),
        ("POST", PATH, vec![("origin", "http://evil.example")], 403, "permission_error"),
        ("POST", PATH, vec![("content-type", "text/plain")], 415, "invalid_request_error"),
    ] {
        let response = harness.send(method, path, &headers, b"{}").await;
        assert_eq!((response.head.status, error(&response).0.as_str()), (status, kind), "{method} {path}");
    }
}

#[actix_web::test]
async fn unknown_fields_follow_the_configuration() {
    let added = with(message("hello"), json!({"context_management": {"edits": []}}));
    let lenient = Harness::start().await.post(PATH, &added).await;
    assert_eq!(lenient.head.status, 200, "{}", lenient.body);
    assert_eq!(lenient.head.header("x-hostler-ignored"), Some("context_management"));
    let strict = Harness::start_with(|config| config.unknown_fields = UnknownFields::Refuse).await;
    let refused = strict.post(PATH, &added).await;
    assert_eq!(refused.head.status, 400);
    assert!(error(&refused).1.contains("context_management"), "{}", refused.body);
}

#[actix_web::test]
async fn the_key_may_be_in_x_api_key() {
    let harness = Harness::start_with(keys).await;
    let body = message("hello").to_string();
    let send = async |key: &'static str| harness.send("POST", PATH, &[("x-api-key", key)], body.as_bytes()).await;
    let accepted = send("a-secret").await;
    assert_eq!(accepted.head.status, 200, "{}", accepted.body);
    assert_eq!(harness.scheduler.last().tenant, "alice".into());
    let refused = send("wrong").await;
    assert_eq!((refused.head.status, error(&refused).0.as_str()), (401, "authentication_error"));
}

#[actix_web::test]
async fn tokens_are_counted_without_the_lines_that_are_removed() {
    let harness = Harness::start_with(|config| config.system_lines_removed = vec!["^billing:".to_owned()]).await;
    let conversation = json!({"system": "billing: 7\nab", "messages": [{"role": "user", "content": "cde"}]});
    let counted = harness.post("/v1/messages/count_tokens", &conversation).await;
    assert_eq!((counted.head.status, counted.json()), (200, json!({"input_tokens": 5})));
    harness.post(PATH, &with(conversation.clone(), json!({"max_tokens": 1}))).await;
    let Prompt::Chat(Conversation { messages, .. }) = harness.scheduler.last().prompt else { panic!("it is a chat") };
    assert_eq!(messages[0].content, "ab");
    let chat = json!({"messages": [{"role": "system", "content": "billing: 8"}, {"role": "user", "content": "a"}]});
    harness.post("/v1/chat/completions", &chat).await;
    let Prompt::Chat(Conversation { messages, .. }) = harness.scheduler.last().prompt else { panic!("it is a chat") };
    assert_eq!(messages.len(), 1, "a system message without other lines is removed");
    let refused = harness.post("/v1/messages/count_tokens", &json!({"messages": []})).await;
    assert_eq!((refused.head.status, error(&refused).0.as_str()), (400, "invalid_request_error"));
}
