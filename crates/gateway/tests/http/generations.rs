//! From the fields of a body to the request that the scheduler receives.

use std::time::{Duration, Instant};

use hostler_protocol::{ChatMessage, Constraint, GenerationRequest, Priority, Prompt, Role};
use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

async fn submitted(path: &str, body: &Value) -> GenerationRequest {
    let harness = Harness::start().await;
    let response = harness.post(path, body).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    harness.scheduler.last()
}

#[actix_web::test]
async fn every_supported_field_arrives() {
    let fields = json!({
        "model": "demo", "max_completion_tokens": 3, "min_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 40,
        "min_p": 0.05, "repetition_penalty": 1.1, "frequency_penalty": 0.2, "presence_penalty": -0.2,
        "stop": ["\n", "END"], "stop_token_ids": [7], "seed": -1, "logit_bias": {"5": -100, "6": 1.5},
        "logprobs": true, "top_logprobs": 4, "ignore_eos": true, "priority": "batch", "timeout": 5.5,
    });
    let request = submitted("/v1/chat/completions", &with(chat("hello"), fields)).await;
    assert_eq!(request.prompt, Prompt::Chat(vec![ChatMessage::new(Role::User, "hello")].into()));
    let sampling = &request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p), (0.5, 0.9, Some(40), 0.05));
    assert_eq!((sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty), (1.1, 0.2, -0.2));
    assert_eq!(sampling.logit_bias, [(5, -100.0), (6, 1.5)]);
    assert_eq!(sampling.seed, Some(u64::MAX));
    assert_eq!((request.stop.max_tokens, request.stop.min_tokens), (Some(3), 2));
    assert_eq!(
        (&request.stop.sequences[..], &request.stop.token_ids[..]),
        (&["\n".into(), "END".into()][..], &[7][..])
    );
    assert!(request.stop.ignore_eos);
    assert_eq!((request.top_logprobs, request.priority), (Some(4), Priority::Batch));
    let left = request.deadline.expect("always").remaining(Instant::now());
    assert!(left <= Duration::from_millis(5500), "{left:?}");
}

#[actix_web::test]
async fn defaults_are_those_of_openai() {
    let request = submitted("/v1/chat/completions", &chat("hello")).await;
    assert_eq!((request.sampling.temperature, request.sampling.top_k, request.sampling.seed), (1.0, None, None));
    assert_eq!((request.stop.max_tokens, request.priority), (None, Priority::Default));
    let request = submitted("/v1/completions", &json!({"prompt": "a"})).await;
    assert_eq!(request.stop.max_tokens, Some(16));
    let request = submitted("/generate", &json!({"prompt": "a"})).await;
    assert_eq!(request.stop.max_tokens, Some(128));
}

#[actix_web::test]
async fn top_k_of_minus_one_or_zero_means_all_tokens_as_in_vllm() {
    for top_k in [-1, 0] {
        let request = submitted("/generate", &json!({"prompt": "a", "top_k": top_k})).await;
        assert_eq!(request.sampling.top_k, None, "{top_k}");
    }
}

#[actix_web::test]
async fn a_constraint_can_be_given_in_four_ways() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let cases = [
        (json!({"response_format": {"type": "text"}}), None),
        (
            json!({"response_format": {"type": "json_object"}}),
            Some(Constraint::JsonSchema(r#"{"type":"object"}"#.to_owned())),
        ),
        (json!({"regex": "[ab]+"}), Some(Constraint::Regex("[ab]+".to_owned()))),
        (json!({"lark": "start: \"a\""}), Some(Constraint::Lark("start: \"a\"".to_owned()))),
    ];
    for (fields, constraint) in cases {
        let request = submitted("/v1/chat/completions", &with(chat("hello"), fields)).await;
        assert_eq!(request.constraint, constraint);
    }
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}});
    let request = submitted("/v1/chat/completions", &with(chat("hello"), json!({"response_format": format}))).await;
    let Some(Constraint::JsonSchema(text)) = request.constraint else { panic!("{:?}", request.constraint) };
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), schema);
}

#[actix_web::test]
async fn the_model_is_optional_only_if_one_is_served() {
    let harness = Harness::start().await;
    assert_eq!(harness.post("/generate", &json!({"prompt": "a"})).await.head.status, 200);
    harness.add("second").await;
    let ambiguous = harness.post("/generate", &json!({"prompt": "a"})).await;
    assert_eq!((ambiguous.head.status, ambiguous.error("param")), (400, json!("model")));
    let named = harness.post("/generate", &json!({"prompt": "a", "model": "second"})).await;
    assert_eq!(named.head.header("x-hostler-scheduler"), Some("second-0"));
    assert_eq!(named.head.header("x-hostler-engine"), None);
    let unknown = harness.post("/generate", &json!({"prompt": "a", "model": "third"})).await;
    assert_eq!((unknown.head.status, unknown.error("param")), (404, json!("model")));
    assert!(unknown.error("message").to_string().contains("demo, second"));
}

#[actix_web::test]
async fn calls_and_template_variables_reach_the_scheduler() {
    let body = json!({
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": true},
    });
    let Prompt::Chat(chat) = submitted("/v1/chat/completions", &body).await.prompt else { panic!("it is a chat") };
    assert_eq!(chat.messages[1].tool_calls[0].name, "weather");
    assert_eq!(chat.messages[2].tool_call_id.as_deref(), Some("c1"));
    let variables: Value = serde_json::from_str(&chat.variables.expect("some")).expect("it is JSON");
    assert_eq!(variables, json!({"reasoning_effort": "low", "enable_thinking": true}));
}
