//! OpenAI's Responses API.

use hostler_config::{ApiKey, Role};
use hostler_gateway::ServerConfig;
use hostler_protocol::{Conversation, Prompt, Role as Author};
use serde_json::{Value, json};

use crate::client::Response;
use crate::harness::{Harness, with};

const PATH: &str = "/v1/responses";

fn request(input: &str) -> Value {
    json!({"input": input, "max_output_tokens": 4})
}

/// What the last request asked the model.
fn conversation(harness: &Harness) -> Conversation {
    let Prompt::Chat(conversation) = harness.scheduler.last().prompt else { panic!("it is a chat") };
    conversation
}

fn path_of(response: &Value, rest: &str) -> String {
    format!("{PATH}/{}{rest}", response["id"].as_str().expect("an id"))
}

#[actix_web::test]
async fn a_whole_response_has_its_output_its_state_and_its_usage() {
    let harness = Harness::start().await;
    let fields = json!({
        "model": "demo", "instructions": "Be brief.", "temperature": 0.5, "top_p": 0.25, "user": "u",
        "metadata": {"a": "b"}, "service_tier": "auto", "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
        "background": false, "truncation": "disabled", "text": {"format": {"type": "text"}},
    });
    let response = harness.post(PATH, &with(request("hello"), fields)).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    let ignored = response.head.header("x-hostler-ignored");
    assert_eq!(ignored, Some("service_tier, reasoning.summary"));
    let body = response.json();
    assert!(body["id"].as_str().is_some_and(|id| id.starts_with("resp_")), "{body}");
    let part = json!({"type": "output_text", "text": "one two three four", "annotations": [], "logprobs": []});
    let item = json!({"id": body["output"][0]["id"], "type": "message", "status": "incomplete", "role": "assistant", "content": [part]});
    let expected = json!({
        "id": body["id"], "object": "response", "created_at": body["created_at"], "model": "demo",
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "error": null,
        "output": [item], "instructions": "Be brief.", "max_output_tokens": 4, "metadata": {"a": "b"},
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": "low", "summary": null},
        "service_tier": "default", "store": true, "temperature": 0.5, "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
        "top_p": 0.25, "truncation": "disabled", "user": "u", "background": false,
        "usage": {
            "input_tokens": 5, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 9,
        },
    });
    assert_eq!(body, expected);
    let asked = conversation(&harness);
    assert_eq!(asked.messages.iter().map(|message| message.role).collect::<Vec<_>>(), [Author::System, Author::User]);
    assert_eq!(asked.variables.as_deref(), Some(r#"{"reasoning_effort":"low"}"#));
    assert!(asked.tools.is_some_and(|tools| tools.contains("\"f\"")));
    assert!(harness.scheduler.last().calls.is_some());
}

#[actix_web::test]
async fn a_stream_has_numbered_events_and_ends_with_the_whole_response() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &json!({"input": "hello", "stream": true})).await;
    response.assert_is_event_stream();
    let names: Vec<_> = response.events().iter().map(|(name, _)| name.expect("every event has a name")).collect();
    let delta = "response.output_text.delta";
    let expected = [
        &["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"][..],
        &[delta; 5],
        &["response.output_text.done", "response.content_part.done", "response.output_item.done"],
        &["response.completed"],
    ];
    assert_eq!(names, expected.concat());
    let chunks = response.chunks();
    for (index, (chunk, name)) in chunks.iter().zip(&names).enumerate() {
        assert_eq!((&chunk["sequence_number"], &chunk["type"]), (&json!(index), &json!(name)), "{chunk}");
    }
    let text: String = chunks.iter().filter_map(|chunk| chunk["delta"].as_str()).collect();
    let last = &chunks[chunks.len() - 1]["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], json!(text));
    assert_eq!(text, "one two three four!");
    let stored = harness.get(&path_of(last, "")).await.json();
    assert_eq!(stored, *last);
}

#[actix_web::test]
async fn a_failure_after_the_first_token_is_the_last_event() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &with(request("fail later"), json!({"stream": true}))).await;
    let chunks = response.chunks();
    let last = &chunks[chunks.len() - 1];
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(last["response"]["error"]["code"], json!("server_error"));
    let at_once = harness.post(PATH, &with(request("fail at once"), json!({"stream": true}))).await;
    assert_eq!(at_once.head.status, 502, "{}", at_once.body);
}

#[actix_web::test]
async fn a_response_is_continued_listed_and_deleted() {
    let harness = Harness::start().await;
    let first = harness.post(PATH, &with(request("hello"), json!({"instructions": "Be brief."}))).await.json();
    let second = json!({"input": [{"role": "user", "content": "and then?"}], "previous_response_id": first["id"]});
    let second = harness.post(PATH, &second).await.json();
    assert_eq!(second["previous_response_id"], first["id"]);
    let asked: Vec<_> = conversation(&harness).messages.into_iter().map(|one| (one.role, one.content)).collect();
    let expected = [(Author::User, "hello"), (Author::Assistant, "one two three four"), (Author::User, "and then?")];
    // Instructions are those of the new request only, as in OpenAI's API.
    assert_eq!(asked, expected.map(|(role, text)| (role, text.to_owned())));

    let items = harness.get(&path_of(&second, "/input_items?order=asc&limit=2")).await.json();
    assert_eq!((&items["object"], &items["has_more"]), (&json!("list"), &json!(true)));
    assert_eq!(items["data"][0]["content"][0], json!({"type": "input_text", "text": "hello"}));
    assert_eq!(items["data"][1], first["output"][0]);
    for query in ["limit=0", "order=up", "after=x", "unknown=1"] {
        let refused = harness.get(&path_of(&second, &format!("/input_items?{query}"))).await;
        assert_eq!(refused.head.status, 400, "{query}: {}", refused.body);
    }

    let cancelled = harness.post(&path_of(&second, "/cancel"), &json!({})).await;
    assert_eq!((cancelled.head.status, cancelled.error("param")), (400, json!("id")));
    let deleted = harness.send("DELETE", &path_of(&first, ""), &[], b"").await;
    assert_eq!(deleted.json(), json!({"id": first["id"], "object": "response", "deleted": true}));
    assert_unknown(&harness.get(&path_of(&first, "")).await, "id");
    assert_unknown(&harness.send("DELETE", &path_of(&first, ""), &[], b"").await, "id");
    let gone = harness.post(PATH, &with(request("a"), json!({"previous_response_id": first["id"]}))).await;
    assert_unknown(&gone, "previous_response_id");
    // The second one has its own copy of what it continues.
    let third = harness.post(PATH, &with(request("b"), json!({"previous_response_id": second["id"]}))).await;
    assert_eq!(third.head.status, 200, "{}", third.body);
    assert_eq!(conversation(&harness).messages.len(), 5);
}

fn assert_unknown(response: &Response, param: &str) {
    assert_eq!((response.head.status, response.error("param")), (404, json!(param)), "{}", response.body);
    let message = response.error("message").to_string();
    assert!(message.contains("with several gateways, only the one that created a response knows it"), "{message}");
}

fn two_tenants(config: &mut ServerConfig) {
    let key = |name: &str, key: &str| (name.to_owned(), ApiKey::new(key, Role::User));
    config.api_keys = [key("alice", "a-secret"), key("bob", "b-secret")].into();
}

#[actix_web::test]
async fn another_tenant_does_not_see_a_response() {
    let harness = Harness::start_with(two_tenants).await;
    let send = async |key: &str, method: &str, path: &str, body: Value| {
        let authorization = format!("Bearer {key}");
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        harness.send(method, path, &headers, body.to_string().as_bytes()).await
    };
    let mine = send("a-secret", "POST", PATH, request("hello")).await.json();
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")] {
        assert_unknown(&send("b-secret", method, &path_of(&mine, rest), json!({})).await, "id");
    }
    let continued = with(request("a"), json!({"previous_response_id": mine["id"]}));
    assert_unknown(&send("b-secret", "POST", PATH, continued).await, "previous_response_id");
    assert_eq!(send("a-secret", "GET", &path_of(&mine, ""), json!({})).await.json(), mine);
}

#[actix_web::test]
async fn what_is_not_to_be_stored_is_not() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &with(request("hello"), json!({"store": false}))).await.json();
    assert_eq!(response["store"], json!(false));
    assert_unknown(&harness.get(&path_of(&response, "")).await, "id");

    let harness = Harness::start_with(|config| config.responses.enabled = false).await;
    let response = harness.post(PATH, &with(request("hello"), json!({"store": true}))).await;
    assert_eq!(response.head.header("x-hostler-ignored"), Some("store"));
    assert_eq!(response.json()["store"], json!(false));
    let unknown = harness.get(&path_of(&response.json(), "")).await;
    assert!(unknown.error("message").to_string().contains("server.responses.enabled"), "{}", unknown.body);
}

#[actix_web::test]
async fn a_running_response_is_visible_and_can_be_cancelled() {
    let harness = Harness::start().await;
    let mut connection = harness.connect().await;
    let body = with(request("gated"), json!({"stream": true})).to_string();
    connection.send("POST", PATH, &[("content-type", "application/json")], body.as_bytes()).await;
    harness.scheduler.gate.add_permits(1);
    connection.head().await;
    let first = connection.chunk().await.expect("the first events");
    let data = first.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let created: Value = serde_json::from_str(data).expect("JSON");
    let running = &created["response"];
    assert_eq!(harness.get(&path_of(running, "")).await.json()["status"], json!("in_progress"));
    let early = harness.post(PATH, &with(request("a"), json!({"previous_response_id": running["id"]}))).await;
    assert_eq!((early.head.status, early.error("param")), (400, json!("previous_response_id")));
    let cancelled = harness.post(&path_of(running, "/cancel"), &json!({})).await;
    assert_eq!((cancelled.head.status, &cancelled.json()["status"]), (200, &json!("cancelled")), "{}", cancelled.body);
    assert!(!harness.scheduler.cancelled.lock().expect("not poisoned").is_empty());
    harness.scheduler.gate.add_permits(3);
    while connection.chunk().await.is_some() {}
    assert_eq!(harness.get(&path_of(running, "")).await.json()["status"], json!("cancelled"));
}

#[actix_web::test]
async fn a_response_whose_client_disconnects_is_forgotten() {
    let harness = Harness::start().await;
    let mut connection = harness.connect().await;
    let body = with(request("hang"), json!({"stream": true, "max_output_tokens": null})).to_string();
    connection.send("POST", PATH, &[("content-type", "application/json")], body.as_bytes()).await;
    harness.alive(1).await;
    drop(connection);
    harness.alive(0).await;
}

#[actix_web::test]
async fn unsupported_fields_are_refused_by_name() {
    let harness = Harness::start().await;
    let cases = [
        ("input", json!({"input": null})),
        ("input", json!({"input": []})),
        ("input[0].type", json!({"input": [{"type": "computer_call"}]})),
        ("background", json!({"background": true})),
        ("conversation", json!({"conversation": "conv_1"})),
        ("max_tool_calls", json!({"max_tool_calls": 1})),
        ("prompt", json!({"prompt": {"id": "p"}})),
        ("top_logprobs", json!({"top_logprobs": 2})),
        ("truncation", json!({"truncation": "auto"})),
        ("text.verbosity", json!({"text": {"verbosity": "low"}})),
        ("text.format.schema", json!({"text": {"format": {"type": "json_schema", "name": "a"}}})),
        ("text.format.type", json!({"text": {"format": {"type": "xml"}}})),
        ("metadata", json!({"metadata": {"a": 1}})),
        ("stream_options", json!({"stream_options": {"include_obfuscation": false}})),
        ("tools[0].type", json!({"tools": [{"type": "web_search"}]})),
        ("tools[0]", json!({"tools": [{"type": "function"}]})),
        ("tools[0].name", json!({"tools": [{"type": "function", "name": "a b"}]})),
        ("tool_choice", json!({"tool_choice": "required"})),
        ("max_output_tokens", json!({"max_output_tokens": 0})),
        ("temperature", json!({"temperature": 9})),
        ("temprature", json!({"temprature": 1})),
    ];
    for (param, fields) in cases {
        let response = harness.post(PATH, &with(request("hello"), fields.clone())).await;
        assert_eq!(response.head.status, 400, "{fields}: {}", response.body);
        assert_eq!(response.error("param"), json!(param), "{fields}: {}", response.body);
        let message = response.error("message").to_string();
        assert!(message.contains(param), "{message} does not name {param}");
    }
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let format = json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": true}}});
    let response = harness.post(PATH, &with(request("hello"), format)).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    assert_eq!(response.json()["text"]["format"]["schema"], schema);
    assert!(format!("{:?}", harness.scheduler.last().constraint).contains("integer"));
}
