//! API keys.

use hostler_gateway::{ApiKey, Role, ServerConfig};
use hostler_protocol::Priority;
use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

pub(crate) fn keys(config: &mut ServerConfig) {
    let key = |name: &str, key: &str, role| (name.to_owned(), ApiKey::new(key, role));
    config.api_keys = [
        key("alice", "a-secret", Role::User),
        key("monitor", "m-secret", Role::Observer),
        key("bench", "o-secret", Role::Operator),
        key("root", "r-secret", Role::Admin),
    ]
    .into();
}

#[actix_web::test]
async fn the_api_requires_a_key_and_probes_do_not() {
    let harness = Harness::start_with(keys).await;
    for path in ["/", "/health", "/livez", "/readyz", "/metrics"] {
        assert_eq!(harness.get(path).await.head.status, 200, "{path}");
    }
    for (method, path) in [("GET", "/v1/models"), ("POST", "/generate"), ("GET", "/admin/schedulers")] {
        let response = harness.send(method, path, &[("authorization", "Bearer wrong")], b"").await;
        assert_eq!(response.head.status, 401, "{path}");
        assert_eq!(response.error("type"), json!("authentication_error"), "{path}");
    }
}

#[actix_web::test]
async fn a_key_names_the_tenant_in_either_header() {
    let harness = Harness::start_with(keys).await;
    for header in [("authorization", "Bearer a-secret"), ("x-api-key", "a-secret")] {
        let headers = [header, ("content-type", "application/json")];
        let response = harness.send("POST", "/v1/chat/completions", &headers, chat("hi").to_string().as_bytes()).await;
        assert_eq!(response.head.status, 200, "{}", response.body);
        assert_eq!(harness.scheduler.last().tenant, "alice".into());
    }
    let refused = harness.send("GET", "/v1/models", &[("x-api-key", "wrong")], b"").await;
    assert_eq!(refused.head.status, 401);
    assert!(!refused.body.contains("wrong"), "{}", refused.body);
}

#[actix_web::test]
async fn a_refusal_names_the_roles_that_are_needed() {
    let harness = Harness::start_with(keys).await;
    let alice = [("authorization", "Bearer a-secret")];
    for path in ["/admin/schedulers", "/admin/cluster"] {
        let forbidden = harness.send("GET", path, &alice, b"").await;
        assert_eq!((forbidden.head.status, forbidden.error("code")), (403, json!("forbidden")), "{path}");
        assert!(forbidden.body.contains("observer or operator or admin"), "{}", forbidden.body);
    }
}

#[actix_web::test]
async fn metrics_can_be_closed() {
    let closed = |config: &mut ServerConfig| {
        keys(config);
        config.open_metrics = false;
    };
    let harness = Harness::start_with(closed).await;
    let status = async |key: &str| harness.send("GET", "/metrics", &[("x-api-key", key)], b"").await.head.status;
    assert_eq!(harness.get("/metrics").await.head.status, 401);
    assert_eq!(status("a-secret").await, 403);
    assert_eq!(status("m-secret").await, 200);
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(harness.get(path).await.head.status, 200, "{path}");
    }
    // Without keys there is nothing to require.
    let harness = Harness::start_with(|config| config.open_metrics = false).await;
    assert_eq!(harness.get("/metrics").await.head.status, 200);
}

#[actix_web::test]
async fn models_that_a_key_may_not_use_do_not_exist_for_it() {
    let restricted = |config: &mut ServerConfig| {
        keys(config);
        let key = config.api_keys.get_mut("alice").expect("she has a key");
        key.models = Some(vec!["other".to_owned()]);
    };
    let harness = Harness::start_with(restricted).await;
    let other = harness.add("other").await;
    let alice = [("x-api-key", "a-secret"), ("content-type", "application/json")];
    let post = async |path: &str, body: Value| harness.send("POST", path, &alice, body.to_string().as_bytes()).await;

    let listed = harness.send("GET", "/v1/models", &alice, b"").await.json();
    let names: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|model| &model["id"]).collect();
    assert_eq!(names, [&json!("other")]);
    assert_eq!(harness.send("GET", "/v1/models/demo", &alice, b"").await.head.status, 404);
    assert_eq!(harness.send("GET", "/model/info?model=demo", &alice, b"").await.head.status, 404);
    for (path, body) in [
        ("/v1/chat/completions", with(chat("hi"), json!({"model": "demo"}))),
        ("/v1/completions", json!({"prompt": "hi", "model": "demo"})),
        ("/v1/embeddings", json!({"input": "hi", "model": "demo"})),
        ("/generate", json!({"prompt": "hi", "model": "demo"})),
        ("/tokenize", json!({"prompt": "hi", "model": "demo"})),
        ("/detokenize", json!({"tokens": [1], "model": "demo"})),
        ("/encode", json!({"text": "hi", "model": "demo"})),
    ] {
        let refused = post(path, body).await;
        assert_eq!(refused.head.status, 404, "{path}: {}", refused.body);
        let message = refused.error("message").to_string();
        assert!(!message.contains("demo,") && message.contains("other"), "{path}: {message}");
    }
    // The only model that it may use needs no name.
    let answered = post("/v1/chat/completions", chat("hi")).await;
    assert_eq!(answered.head.status, 200, "{}", answered.body);
    assert_eq!(other.last().tenant, "alice".into());
}

#[actix_web::test]
async fn a_key_limits_the_priority_of_its_requests() {
    let limited = |config: &mut ServerConfig| {
        keys(config);
        config.api_keys.get_mut("alice").expect("she has a key").priority_max = Some(Priority::Batch);
    };
    let harness = Harness::start_with(limited).await;
    let alice = [("x-api-key", "a-secret"), ("content-type", "application/json")];
    let post =
        async |body: Value| harness.send("POST", "/v1/chat/completions", &alice, body.to_string().as_bytes()).await;
    let refused = post(with(chat("hi"), json!({"priority": "interactive"}))).await;
    assert_eq!((refused.head.status, refused.error("param")), (403, json!("priority")), "{}", refused.body);
    for body in [chat("hi"), with(chat("hi"), json!({"priority": "batch"}))] {
        assert_eq!(post(body).await.head.status, 200);
        assert_eq!(harness.scheduler.last().priority, Priority::Batch);
    }
}

#[actix_web::test]
async fn an_expired_key_is_refused() {
    let expired = |config: &mut ServerConfig| {
        keys(config);
        let yesterday = Some("2020-01-01".to_owned().try_into().expect("a date"));
        config.api_keys.get_mut("alice").expect("she has a key").expires = yesterday;
    };
    let harness = Harness::start_with(expired).await;
    let refused = harness.send("GET", "/v1/models", &[("x-api-key", "a-secret")], b"").await;
    assert_eq!(refused.head.status, 401);
    assert!(refused.body.contains("expired"), "{}", refused.body);
}
