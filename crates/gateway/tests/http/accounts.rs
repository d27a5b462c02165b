//! What the books say of a generation, whichever way it ended.

use std::time::Duration;

use hostler_gateway::ApiKey;
use serde_json::{Value, json};

use crate::harness::{Harness, chat, with};

/// The gateway's books on one model. Its name is the test's own: all tests of this
/// process share one registry.
struct Books<'a> {
    harness: &'a Harness,
    model: &'a str,
    tenant: &'a str,
}

impl Books<'_> {
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

    /// How many requests have a time, and how many a first token.
    async fn timed(&self) -> (f64, f64) {
        let labels = format!(r#"{{model="{}",priority="default"}}"#, self.model);
        let requests = self.harness.metric(&format!("hostler_gateway_request_seconds_count{labels}")).await;
        let name = "hostler_gateway_time_to_first_token_seconds_count";
        (requests, self.harness.metric(&format!("{name}{labels}")).await)
    }

    /// Waits until so many requests have ended so: a client that leaves is noticed
    /// when the server next looks.
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
async fn every_end_is_counted_once_for_its_client() {
    const MODEL: &str = "books";
    let harness = Harness::start().await;
    let scheduler = harness.add(MODEL).await;
    let books = Books { harness: &harness, model: MODEL, tenant: "anonymous" };
    let post = async |content: &str, more: Value| {
        harness.post("/v1/chat/completions", &ask(MODEL, content, more)).await.head.status
    };

    assert_eq!(post("hello", json!({})).await, 200);
    assert_eq!(post("hello", json!({"stream": true})).await, 200);
    assert_eq!((books.outcome("success").await, books.tokens().await), (2.0, 8.0));
    assert_eq!(post("fail at once", json!({"stream": true})).await, 502);
    assert_eq!(post("fail later", json!({})).await, 502);
    // The head is out, hence 200; the books know better.
    assert_eq!(post("fail later", json!({"stream": true})).await, 200);
    assert_eq!(post("refuse", json!({})).await, 429);
    assert_eq!((books.outcome("engine_failed").await, books.outcome("overloaded").await), (3.0, 1.0));

    // One that leaves in the middle of its answer, and one that leaves before it.
    let mut alive = scheduler.alive.subscribe();
    for (content, stream) in [("gated", true), ("hang", false)] {
        // The one before it is gone: what is alive below is this one.
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
        books.until("cancelled", if stream { 1.0 } else { 2.0 }).await;
    }
    assert_eq!(books.timed().await.0, 8.0, "each has a time");
    assert!(books.timed().await.1 >= 4.0, "those with a token have the time of their first");
    assert_eq!(books.outcome("success").await, 2.0);
}

#[actix_web::test]
async fn a_tenant_is_named_by_its_key_and_what_never_came_to_a_model_is_not_counted() {
    const MODEL: &str = "books-of-alice";
    let key = ApiKey { name: "alice".into(), key: "alices-key".into(), admin: true };
    let harness = Harness::start_with(|config| config.api_keys = vec![key]).await;
    harness.add(MODEL).await;
    let books = Books { harness: &harness, model: MODEL, tenant: "alice" };
    let headers = [("content-type", "application/json"), ("authorization", "Bearer alices-key")];
    let post = async |body: Value| {
        harness.send("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).await.head.status
    };
    assert_eq!(post(ask(MODEL, "hello", json!({}))).await, 200);
    assert_eq!(post(ask(MODEL, "hello", json!({"temperature": 9}))).await, 400);
    assert_eq!(post(ask("nobody-serves-this", "hello", json!({}))).await, 404);
    assert_eq!((books.outcome("success").await, books.outcome("invalid_request").await), (1.0, 0.0));
    assert!(!harness.get("/metrics").await.body.contains("nobody-serves-this"), "a label must not come from a client");
}
