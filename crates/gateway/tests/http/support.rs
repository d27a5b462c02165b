//! Unsupported fields are refused, and ignored ones reported.

use hostler_config::UnknownFields;
use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

#[actix_web::test]
async fn unsupported_fields_are_refused_by_name() {
    let harness = Harness::start().await;
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    let twice = json!([tool[0], tool[0]]);
    let unnamed = json!([{"type": "function", "function": {"name": "a b"}}]);
    let list = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]);
    let many: Vec<_> = (0..129).map(|n| json!({"type": "function", "function": {"name": format!("f{n}")}})).collect();
    let cases = [
        ("tools", json!({"tools": many})),
        ("tools[0].type", json!({"tools": [{"type": "custom"}]})),
        ("tools[0].function.name", json!({"tools": unnamed})),
        ("tools[1].function.name", json!({"tools": twice})),
        ("tools[0].function.parameters", json!({"tools": list})),
        ("tool_choice", json!({"tool_choice": "required"})),
        ("tool_choice", json!({"tools": tool, "tool_choice": "any"})),
        ("tool_choice", json!({"tools": tool, "tool_choice": {"type": "function", "function": {"name": "g"}}})),
        ("regex", json!({"tools": tool, "regex": "a"})),
        ("functions", json!({"functions": [{"name": "f"}]})),
        ("modalities", json!({"modalities": ["text", "audio"]})),
        ("audio", json!({"audio": {"voice": "a"}})),
        ("prediction", json!({"prediction": {"type": "content"}})),
        ("chat_template_kwargs", json!({"chat_template_kwargs": {"tools": []}})),
        ("verbosity", json!({"verbosity": "low"})),
        ("verbosity", json!({"verbosity": "none"})),
        ("ebnf", json!({"ebnf": "root ::= \"a\""})),
        ("best_of", json!({"best_of": 2})),
        ("echo", json!({"echo": true})),
        ("skip_special_tokens", json!({"skip_special_tokens": false})),
        ("prompt", json!({"prompt": "a"})),
        ("temprature", json!({"temprature": 1})),
        ("stream_options", json!({"stream_options": {"include_usage": true}})),
        ("messages[0].rol", json!({"messages": [{"rol": "user"}]})),
        ("regex", json!({"regex": "a", "response_format": {"type": "json_object"}})),
        ("response_format.json_schema.schema", json!({"response_format": {"type": "json_schema"}})),
        ("max_tokens", json!({"max_tokens": 1, "max_completion_tokens": 2})),
        ("top_logprobs", json!({"top_logprobs": 2})),
        ("logprobs", json!({"logprobs": 2})),
        ("n", json!({"n": 129})),
        ("timeout", json!({"timeout": 1e9})),
    ];
    for (param, fields) in cases {
        let response = harness.post("/v1/chat/completions", &with(chat("hello"), fields.clone())).await;
        assert_eq!(response.head.status, 400, "{fields}: {}", response.body);
        assert_eq!(response.error("param"), json!(param), "{fields}: {}", response.body);
        let message = response.error("message").to_string();
        assert!(message.contains(param), "{message} does not name {param}");
    }
    assert!(harness.scheduler.requests.lock().expect("not poisoned").is_empty(), "a refused request must not run");
}

#[actix_web::test]
async fn unknown_fields_are_ignored_and_reported_on_openai_endpoints_only() {
    let added = json!({"no_stop_trim": true, "stream": true, "stream_options": {"x": true}});
    let harness = Harness::start().await;
    let response = harness.post("/v1/chat/completions", &with(chat("hello"), added.clone())).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    assert_eq!(response.head.header("x-hostler-ignored"), Some("no_stop_trim, stream_options.x"));
    let counted = harness.metric(r#"hostler_http_ignored_fields_total{route="/v1/chat/completions"}"#).await;
    assert!(counted >= 2.0, "{counted}");
    let native = harness.post("/generate", &json!({"prompt": "a", "no_stop_trim": true})).await;
    assert_eq!((native.head.status, native.error("param")), (400, json!("no_stop_trim")));

    let strict = Harness::start_with(|config| config.unknown_fields = UnknownFields::Refuse).await;
    let refused = strict.post("/v1/chat/completions", &with(chat("hello"), added)).await;
    assert_eq!((refused.head.status, refused.error("param")), (400, json!("no_stop_trim")));
}

#[actix_web::test]
async fn whole_numbers_may_be_written_as_floats_and_empty_answers_sent_back() {
    let harness = Harness::start().await;
    let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]);
    let body = json!({"messages": messages, "max_tokens": 2.0, "n": 1.0, "seed": 7.0, "top_k": 3.0});
    let response = harness.post("/v1/chat/completions/", &body).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    let request = harness.scheduler.last();
    assert_eq!((request.stop.max_tokens, request.sampling.seed, request.sampling.top_k), (Some(2), Some(7), Some(3)));
}

#[actix_web::test]
async fn inactive_values_of_unsupported_fields_are_accepted() {
    let harness = Harness::start().await;
    let inert = json!({
        "tools": [], "tool_choice": "auto", "functions": null, "modalities": ["text"], "best_of": 1, "echo": false,
        "suffix": null, "logprobs": false, "top_logprobs": 0, "skip_special_tokens": true, "seed": null, "stop": null,
        "add_generation_prompt": true, "stream_options": null, "verbosity": "medium", "reasoning_effort": "none",
    });
    let response = harness.post("/v1/chat/completions", &with(chat("hello"), inert)).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    assert_eq!(response.head.header("x-hostler-ignored"), None);
}

#[actix_web::test]
async fn both_fields_for_the_length_are_accepted_if_they_are_equal() {
    let harness = Harness::start().await;
    let completion = json!({"prompt": "hello"});
    for (path, body) in [("/v1/chat/completions", chat("hello")), ("/v1/completions", completion.clone())] {
        for fields in [json!({"max_tokens": 2, "max_completion_tokens": 2}), json!({"max_completion_tokens": 2})] {
            let response = harness.post(path, &with(body.clone(), fields)).await;
            assert_eq!(response.head.status, 200, "{path}: {}", response.body);
            assert_eq!(response.json()["usage"]["completion_tokens"], json!(2), "{path}");
            assert_eq!(harness.scheduler.last().stop.max_tokens, Some(2), "{path}");
        }
        let fields = json!({"max_tokens": 2, "max_completion_tokens": 3});
        let refused = harness.post(path, &with(body, fields)).await;
        assert_eq!((refused.head.status, refused.error("param")), (400, json!("max_tokens")), "{path}");
        let message = refused.error("message").to_string();
        assert!(message.contains("max_tokens is 2 and max_completion_tokens is 3"), "{path}: {message}");
    }
    let native = harness.post("/generate", &with(completion, json!({"max_completion_tokens": 2}))).await;
    assert_eq!((native.head.status, native.error("param")), (400, json!("max_completion_tokens")));
}

async fn ignored(fields: Value) -> Option<String> {
    let response = Harness::start().await.post("/v1/chat/completions", &with(chat("hello"), fields)).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    response.head.header("x-hostler-ignored").map(str::to_owned)
}

#[actix_web::test]
async fn ignored_fields_are_reported_in_a_header() {
    let fields = json!({"user": "u", "store": true, "metadata": {"a": "b"}});
    assert_eq!(ignored(fields).await.as_deref(), Some("user, store, metadata"));
    assert_eq!(ignored(json!({"user": null})).await, None);
}
