//! The metrics of a generation, however it ended.

use std::time::Duration;

use hostler_gateway::{ApiKey, Role};
use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

/// The gateway's metrics of one model. Each test uses its own model name, because all tests of
/// this process share one registry.
struct ModelMetrics<'a> {
    harness: &'a Harness,
    model: &'a str,
    tenant: &'a str,
}

impl ModelMetrics<'_> {
    async fn outcome(&self, outcome: &str) -> f64 {
        let Self { harness, model, tenant } = self;
        let labels = format!(r#"model="{model}",tenant="{tenant}",priority="default",outcome="{outcome}""#);
        harness.metric(&format!("hostler_gateway_requests_total{{{labels}}}")).await
    }

    async fn tokens(&self) -> f64 {
        let Self { harness, model, tenant } = self;
        harness
            .metric(&format!(r#"hostler_gateway_generation_tokens_total{{model="{model}",tenant="{tenant}"}}"#))
            .await
    }

    /// The number of requests with a time, and of those with a time to first token.
    async fn timed(&self) -> (f64, f64) {
        let labels = format!(r#"{{model="{}",priority="default"}}"#, self.model);
        let requests = self.harness.metric(&format!("hostler_gateway_request_seconds_count{labels}")).await;
        let name = "hostler_gateway_time_to_first_token_seconds_count";
        (requests, self.harness.metric(&format!("{name}{labels}")).await)
    }

    /// Waits until this many requests have ended this way: the server notices a disconnected
    /// client only when it next polls the connection.
    async fn until(&self, outcome: &str, count: f64) {
        while self.outcome(outcome).await < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn ask(model: &str, content: &str, more: Value) -> Value {
    with(with(chat(content), json!({"model": model})), more)
}

#[actix_web::test]
async fn every_request_is_counted_once_with_its_outcome() {
    const MODEL: &str = "records";
    let harness = Harness::start().await;
    let scheduler = harness.add(MODEL).await;
    let metrics = ModelMetrics { harness: &harness, model: MODEL, tenant: "anonymous" };
    let post = async |content: &str, more: Value| {
        harness.post("/v1/chat/completions", &ask(MODEL, content, more)).await.head.status
    };

    assert_eq!(post("hello", json!({})).await, 200);
    assert_eq!(post("hello", json!({"stream": true})).await, 200);
    assert_eq!((metrics.outcome("success").await, metrics.tokens().await), (2.0, 8.0));
    assert_eq!(post("fail at once", json!({"stream": true})).await, 502);
    assert_eq!(post("fail later", json!({})).await, 502);
    // The head was sent with 200; the metrics count the failure in the stream.
    assert_eq!(post("fail later", json!({"stream": true})).await, 200);
    assert_eq!(post("refuse", json!({})).await, 429);
    assert_eq!((metrics.outcome("engine_failed").await, metrics.outcome("overloaded").await), (3.0, 1.0));

    // One client disconnects in the middle of its answer, one before it.
    let mut alive = scheduler.alive.subscribe();
    for (content, stream) in [("gated", true), ("hang", false)] {
        // The previous generation has ended, so the next one alive is this one.
        alive.wait_for(|&alive| alive == 0).await.expect("the sender lives");
        let mut connection = harness.connect().await;
        let body = ask(MODEL, content, json!({"stream": stream})).to_string();
        connection.send("POST", "/v1/chat/completions", &[("content-type", "application/json")], body.as_bytes()).await;
        if stream {
            scheduler.gate.add_permits(1);
            connection.head().await;
        } else {
            alive.wait_for(|&alive| alive > 0).await.expect("the sender lives");
        }
        drop(connection);
        metrics.until("cancelled", if stream { 1.0 } else { 2.0 }).await;
    }
    assert_eq!(metrics.timed().await.0, 8.0, "each has a time");
    assert!(metrics.timed().await.1 >= 4.0, "those with a token have a time to first token");
    assert_eq!(metrics.outcome("success").await, 2.0);
}

#[actix_web::test]
async fn the_key_names_the_tenant_and_requests_without_a_model_are_not_counted() {
    const MODEL: &str = "records-of-alice";
    let key = ApiKey::new("alices-key", Role::Admin);
    let harness = Harness::start_with(|config| config.api_keys = [("alice".to_owned(), key)].into()).await;
    harness.add(MODEL).await;
    let metrics = ModelMetrics { harness: &harness, model: MODEL, tenant: "alice" };
    let headers = [("content-type", "application/json"), ("authorization", "Bearer alices-key")];
    let post = async |body: Value| {
        harness.send("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).await.head.status
    };
    assert_eq!(post(ask(MODEL, "hello", json!({}))).await, 200);
    assert_eq!(post(ask(MODEL, "hello", json!({"temperature": 9}))).await, 400);
    assert_eq!(post(ask("unknown-model", "hello", json!({}))).await, 404);
    assert_eq!((metrics.outcome("success").await, metrics.outcome("invalid_request").await), (1.0, 0.0));
    assert!(!harness.get("/metrics").await.body.contains("unknown-model"), "a label must not come from a client");
}
