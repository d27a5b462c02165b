//! Tools and reasoning, in OpenAI's and Anthropic's APIs.

use hostler_protocol::{CallRules, Prompt};
use serde_json::{Value, json};

use crate::client::Response;
use crate::fake::SAY;
use crate::harness::{Harness, chat, with};

const ANSWER: &str = "<think>\nHm.\n</think>\n\nI look.\n\
                      <tool_call>\n{\"name\": \"get\", \"arguments\": {\"city\": \"Kyōto\"}}\n</tool_call>\n\
                      <tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>";

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}},
           {"type": "function", "function": {"name": "stop", "strict": true}}])
}

/// A request whose answer is this text.
fn says(text: &str) -> Value {
    with(chat(&format!("{SAY}{text}")), json!({"tools": tools()}))
}

/// The message of each choice that a stream's chunks add up to, without the ids of calls.
fn assembled(response: &Response, choices: usize) -> Vec<Value> {
    let empty = json!({"content": "", "reasoning_content": "", "tool_calls": [], "finish_reason": null});
    let mut messages = vec![empty; choices];
    for chunk in response.chunks() {
        for choice in chunk["choices"].as_array().expect("an array") {
            let message = &mut messages[choice["index"].as_u64().expect("an index") as usize];
            let delta = &choice["delta"];
            for field in ["content", "reasoning_content"] {
                let text = message[field].as_str().expect("a text").to_owned();
                message[field] = json!(text + delta[field].as_str().unwrap_or_default());
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let calls = message["tool_calls"].as_array_mut().expect("an array");
                let (index, function) = (call["index"].as_u64().expect("an index") as usize, &call["function"]);
                if call["id"].is_string() {
                    assert_eq!((index, &call["type"]), (calls.len(), &json!("function")), "{call}");
                    calls.push(json!({"name": function["name"], "arguments": ""}));
                }
                let arguments = calls[index]["arguments"].as_str().expect("a text").to_owned();
                calls[index]["arguments"] = json!(arguments + function["arguments"].as_str().expect("a text"));
            }
            if choice["finish_reason"].is_string() {
                message["finish_reason"] = choice["finish_reason"].clone();
            }
        }
    }
    messages
}

/// The messages of a whole response, in the same form.
fn whole(response: &Response) -> Vec<Value> {
    let body = response.json();
    let message = |choice: &Value| {
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let call = |call: &Value| json!({"name": call["function"]["name"], "arguments": call["function"]["arguments"]});
        json!({
            "content": message["content"].as_str().unwrap_or_default(),
            "reasoning_content": message["reasoning_content"].as_str().unwrap_or_default(),
            "tool_calls": calls.iter().map(call).collect::<Vec<_>>(),
            "finish_reason": choice["finish_reason"],
        })
    };
    body["choices"].as_array().expect("an array").iter().map(message).collect()
}

#[actix_web::test]
async fn a_streamed_answer_is_the_whole_one() {
    let harness = Harness::start().await;
    let expected = json!({
        "content": "I look.", "reasoning_content": "Hm.", "finish_reason": "tool_calls",
        "tool_calls": [{"name": "get", "arguments": "{\"city\": \"Kyōto\"}"}, {"name": "stop", "arguments": "{}"}],
    });
    let cut = &ANSWER[..ANSWER.find("Kyōto").expect("it is there")];
    for (text, expected) in [(ANSWER, Some(expected)), (cut, None), ("It rains.", None), ("<tool_call>\nno", None)] {
        for n in [1, 2] {
            let request = with(says(text), json!({"n": n}));
            let response = harness.post("/v1/chat/completions", &request).await;
            let whole = whole(&response);
            assert!(expected.as_ref().is_none_or(|expected| *expected == whole[0]), "{}", response.body);
            let streamed = harness.post("/v1/chat/completions", &with(request, json!({"stream": true}))).await;
            assert_eq!(assembled(&streamed, n), whole, "{text}");
        }
    }
}

#[actix_web::test]
async fn an_answer_of_calls_only_has_no_content_and_ids_are_unique() {
    let harness = Harness::start().await;
    let only_calls = &ANSWER[ANSWER.find("<tool_call>").expect("it is there")..];
    let body = harness.post("/v1/chat/completions", &says(only_calls)).await.json();
    let message = &body["choices"][0]["message"];
    assert_eq!((&message["content"], message.get("reasoning_content")), (&json!(null), None), "{message}");
    let ids: Vec<_> = message["tool_calls"].as_array().expect("calls").iter().map(|call| call["id"].as_str()).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.is_some_and(|id| id.starts_with("call_"))), "{ids:?}");
    let usage = harness.post("/v1/chat/completions", &says(ANSWER)).await.json()["usage"].clone();
    assert!(usage["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(0), "{usage}");
}

/// What the scheduler was given, and the tools in the conversation.
async fn given(harness: &Harness, fields: Value) -> (Option<CallRules>, Option<Value>) {
    let response = harness.post("/v1/chat/completions", &with(says("a"), fields.clone())).await;
    assert_eq!(response.head.status, 200, "{fields}: {}", response.body);
    let request = harness.scheduler.last();
    let Prompt::Chat(conversation) = request.prompt else { panic!("it is a chat") };
    (request.calls, conversation.tools.map(|tools| serde_json::from_str(&tools).expect("it is JSON")))
}

#[actix_web::test]
async fn the_scheduler_gets_the_tools_and_what_is_forced() {
    let harness = Harness::start().await;
    let get = json!({"type": "function", "function": {"name": "get"}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [get]}});
    for (fields, names, required, parallel) in [
        (json!({}), &["get", "stop"][..], false, true),
        (json!({"tool_choice": "auto", "parallel_tool_calls": false}), &["get", "stop"], false, false),
        (json!({"tool_choice": "required"}), &["get", "stop"], true, true),
        (json!({"tool_choice": get}), &["get"], true, true),
        (json!({"tool_choice": allowed}), &["get"], false, true),
    ] {
        let (rules, shown) = given(&harness, fields.clone()).await;
        let rules = rules.expect("it may call");
        let forced: Value = serde_json::from_str(&rules.tools).expect("it is JSON");
        let forced: Vec<_> = forced.as_array().expect("an array").iter().map(|tool| tool["name"].as_str()).collect();
        assert_eq!(forced, names.iter().copied().map(Some).collect::<Vec<_>>(), "{fields}");
        assert_eq!(
            (rules.required, rules.parallel, rules.is_strict),
            (required, parallel, names.len() == 2),
            "{fields}"
        );
        assert_eq!(shown.as_ref().and_then(Value::as_array).map(Vec::len), Some(2), "{fields}");
    }
    assert_eq!(given(&harness, json!({"tool_choice": "none"})).await, (None, None));
    assert_eq!(given(&harness, json!({"tools": []})).await, (None, None));
    let schema = json!({"response_format": {"type": "json_object"}});
    assert!(given(&harness, schema).await.0.is_some() && harness.scheduler.last().constraint.is_some());
}

#[actix_web::test]
async fn without_tools_calls_are_text_and_reasoning_is_separate() {
    let harness = Harness::start().await;
    let request = with(says(ANSWER), json!({"tool_choice": "none"}));
    let message = whole(&harness.post("/v1/chat/completions", &request).await).remove(0);
    assert_eq!(message["reasoning_content"], "Hm.");
    assert!(message["content"].as_str().is_some_and(|text| text.contains("<tool_call>")), "{message}");
    let raw = harness.post("/v1/completions", &json!({"prompt": format!("{SAY}{ANSWER}")})).await.json();
    assert_eq!(raw["choices"][0]["text"], ANSWER);
}

#[actix_web::test]
async fn a_message_of_anthropic_has_blocks() {
    let harness = Harness::start().await;
    let tools = json!([{"name": "get", "input_schema": {"type": "object"}, "description": "Gets."},
                       {"name": "stop", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]);
    let messages = json!([{"role": "user", "content": format!("{SAY}{ANSWER}")}]);
    let request = json!({"max_tokens": 99, "messages": messages, "tools": tools, "tool_choice": {"type": "any"}});
    let body = harness.post("/v1/messages", &request).await.json();
    let rules = harness.scheduler.last().calls.expect("it must call");
    assert!(rules.required && rules.parallel);
    let content = body["content"].as_array().expect("blocks");
    let expected = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": content[2]["id"], "name": "get", "input": {"city": "Kyōto"}},
        {"type": "tool_use", "id": content[3]["id"], "name": "stop", "input": {}},
    ]);
    assert_eq!((&body["content"], &body["stop_reason"]), (&expected, &json!("tool_use")), "{body}");
    let stream = harness.post("/v1/messages", &with(request, json!({"stream": true}))).await;
    let kinds: Vec<String> = stream
        .chunks()
        .iter()
        .filter(|chunk| chunk["type"] == "content_block_start")
        .map(|chunk| chunk["content_block"]["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    let json: String = stream.chunks().iter().filter_map(|chunk| chunk["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, "{\"city\": \"Kyōto\"}{}");
    assert!(stream.chunks().iter().any(|chunk| chunk["delta"]["stop_reason"] == "tool_use"), "{}", stream.body);
}

#[actix_web::test]
async fn a_history_of_anthropic_has_calls_and_results() {
    let harness = Harness::start().await;
    let messages = json!([
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""},
                                          {"type": "tool_use", "id": "a", "name": "get", "input": {"city": "Rome"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "rain"}]},
    ]);
    let request = json!({"max_tokens": 4, "messages": messages, "thinking": {"type": "disabled"}});
    let response = harness.post("/v1/messages", &request).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    let Prompt::Chat(chat) = harness.scheduler.last().prompt else { panic!("it is a chat") };
    let [_, answer, result] = &chat.messages[..] else { panic!("{chat:?}") };
    assert_eq!(
        (answer.reasoning.as_deref(), answer.tool_calls[0].arguments.as_str()),
        (Some("hm"), "{\"city\":\"Rome\"}")
    );
    assert_eq!((result.tool_call_id.as_deref(), result.content.as_str()), (Some("a"), "rain"));
    assert_eq!(chat.variables.as_deref(), Some(r#"{"enable_thinking":false,"thinking":false}"#));
}

#[actix_web::test]
async fn tools_are_part_of_a_tokenized_conversation() {
    let harness = Harness::start().await;
    let conversation = with(chat("hello"), json!({"tools": tools()}));
    assert_eq!(harness.post("/tokenize", &conversation).await.head.status, 200);
    let wrong = with(conversation, json!({"tools": [{"type": "function", "function": {"name": ""}}]}));
    let refused = harness.post("/tokenize", &wrong).await;
    assert_eq!((refused.head.status, refused.error("param")), (400, json!("tools[0].function.name")));
    let text = harness.post("/tokenize", &json!({"prompt": "a", "tools": tools()})).await;
    assert_eq!((text.head.status, text.error("param")), (400, json!("tools")));
}
