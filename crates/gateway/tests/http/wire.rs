//! The wire format, as snapshots. Values that differ between runs (ids, times) are replaced.

use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

/// Replaces values that differ between runs.
fn stable(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                *field = match (key.as_str(), field.take()) {
                    ("id", Value::String(id)) if id.contains('-') => {
                        let prefix = id.split('-').next().unwrap_or_default().to_owned();
                        json!(format!("{prefix}-<id>"))
                    }
                    ("created", _) => json!("<created>"),
                    ("total_ms", _) => json!("<total>"),
                    (_, other) => stable(other),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = stable(item.take())),
        _ => {}
    }
    value
}

/// Compares with the stored snapshot, with sorted keys: whether serde_json keeps their order
/// depends on the features of other crates in the build.
pub(crate) fn assert_snapshot(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind(|| insta::assert_json_snapshot!(name, value));
}

async fn answer(path: &str, body: &Value) -> Value {
    let response = Harness::start().await.post(path, body).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    stable(response.json())
}

async fn chunks(path: &str, body: &Value) -> Vec<Value> {
    let response = Harness::start().await.post(path, body).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    response.assert_is_event_stream();
    assert_eq!(response.events().last(), Some(&(None, "[DONE]")));
    response.chunks().into_iter().map(stable).collect()
}

#[actix_web::test]
async fn chat_answer() {
    let body = with(chat("hello"), json!({"max_tokens": 2, "logprobs": true, "top_logprobs": 1}));
    assert_snapshot("chat", &answer("/v1/chat/completions", &body).await);
}

#[actix_web::test]
async fn chat_stream() {
    let body = with(chat("hello"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    assert_snapshot("chat_stream", &json!(chunks("/v1/chat/completions", &body).await));
}

#[actix_web::test]
async fn completion() {
    let body = json!({"prompt": "hello", "max_tokens": 2, "logprobs": 2});
    assert_snapshot("completion", &answer("/v1/completions", &body).await);
}

#[actix_web::test]
async fn completion_stream() {
    let body = json!({"prompt": [1, 2, 3], "max_tokens": 2, "stream": true});
    assert_snapshot("completion_stream", &json!(chunks("/v1/completions", &body).await));
}

#[actix_web::test]
async fn native() {
    let body = json!({"prompt": "hello", "max_tokens": 2});
    assert_snapshot("native", &answer("/generate", &body).await);
}

#[actix_web::test]
async fn native_stream() {
    let body = json!({"prompt": "hello", "max_tokens": 2});
    let streamed = chunks("/generate_stream", &body).await;
    assert_snapshot("native_stream", &json!(streamed));
    assert_eq!(chunks("/generate", &with(body, json!({"stream": true}))).await, streamed);
}

#[actix_web::test]
async fn models() {
    let harness = Harness::start().await;
    harness.add("org/large").await;
    let list = stable(harness.get("/v1/models").await.json());
    assert_snapshot("models", &list);
    assert_eq!(stable(harness.get("/v1/models/org/large").await.json()), list["data"][1]);
    let info = harness.get("/model/info?model=demo").await.json();
    assert_snapshot("model_info", &info);
    assert_eq!(harness.get("/model/info").await.error("param"), json!("model"));
}

#[actix_web::test]
async fn an_error() {
    let harness = Harness::start().await;
    let response = harness.post("/v1/chat/completions", &chat("refuse")).await;
    assert_eq!(response.head.status, 429);
    assert_eq!(response.head.header("retry-after"), Some("2"));
    assert_snapshot("error", &response.json());
}

#[actix_web::test]
async fn text_and_tokens() {
    let harness = Harness::start().await;
    let tokenized = harness.post("/tokenize", &json!({"prompt": "ab", "return_token_strs": true})).await.json();
    assert_eq!(tokenized["tokens"], json!([97, 98]));
    assert_eq!((&tokenized["count"], &tokenized["max_model_len"]), (&json!(2), &json!(2048)));
    assert_eq!(tokenized["token_strs"].as_array().map(Vec::len), Some(2));
    let conversation = harness.post("/tokenize", &chat("abc")).await.json();
    assert_eq!(conversation["count"], json!(3));
    let skipping = json!({"tokens": [97, 98], "skip_special_tokens": true});
    assert_eq!(harness.post("/detokenize", &skipping).await.json(), json!({"prompt": "ab"}));
    let pieces = tokenized["token_strs"].as_array().expect("two").iter().filter_map(|piece| piece.as_str());
    let text = harness.post("/detokenize", &json!({"tokens": [97, 98]})).await.json();
    assert_eq!(text, json!({"prompt": pieces.collect::<String>()}));
    let encoded = harness.post("/encode", &json!({"text": "ab"})).await.json();
    assert_eq!(encoded, json!({"success": true, "data": {"length": 2, "tokens": [97, 98]}}));
}
