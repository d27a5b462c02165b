//! Health, metrics, schedulers, and what is not there.

use hostler_scheduler::SchedulerState;
use serde_json::json;

use crate::harness::{Harness, MODEL, chat};
use crate::wire::assert_snapshot;

#[actix_web::test]
async fn every_listed_endpoint_is_routed_and_refuses_other_methods() {
    let harness = Harness::start().await;
    let index = harness.get("/").await.json();
    assert_eq!(index["success"], json!(true));
    let endpoints = index["data"]["endpoints"].as_array().expect("a list").clone();
    assert!(endpoints.len() >= 17, "{endpoints:?}");
    for endpoint in endpoints {
        let (method, path) = (endpoint["method"].as_str().expect("text"), endpoint["path"].as_str().expect("text"));
        // What is not there answers 404, and that is another test's affair.
        if path.contains("{token}") || path.starts_with("/v1/benchmarks/") {
            continue;
        }
        let path = path.replace("{id}", MODEL);
        let response = harness.send(method, &path, &[("content-type", "application/json")], b"").await;
        // A POST without a body is refused by its handler; a path without one, by the router.
        let expected = match (method, path.as_str()) {
            ("GET", _) => 200,
            _ => 400,
        };
        assert_eq!(response.head.status, expected, "{method} {path}: {}", response.body);

        let refused = harness.send("PATCH", &path, &[], b"").await;
        assert_eq!(refused.head.status, 405, "{path}");
        let allowed = refused.head.header("allow").unwrap_or_default();
        assert!(allowed.split(", ").any(|allowed| allowed == method), "{path}: {allowed}");
        assert_eq!(refused.error("code"), json!("method_not_allowed"));
    }
}

#[actix_web::test]
async fn an_unknown_path_is_an_openai_error() {
    let harness = Harness::start().await;
    let response = harness.get("/v2/nothing").await;
    assert_eq!(response.head.status, 404);
    assert_eq!(response.error("type"), json!("invalid_request_error"));
    assert_eq!(response.error("code"), json!("not_found"));
    assert!(response.error("message").to_string().contains("/v2/nothing"));
}

#[actix_web::test]
async fn readiness_follows_the_schedulers_and_liveness_does_not() {
    let harness = Harness::start().await;
    assert_eq!(harness.get("/readyz").await.head.status, 200);
    harness.scheduler.enter(SchedulerState::Starting);
    let not_ready = harness.get("/readyz").await;
    assert_eq!(not_ready.head.status, 503);
    assert_eq!(not_ready.error("code"), json!("unavailable"));
    assert!(not_ready.head.header("retry-after").is_some());
    assert_eq!(harness.get("/livez").await.head.status, 200);
    let health = harness.get("/health").await;
    assert_eq!(health.head.status, 200);
    assert_eq!(health.json()["data"]["status"], json!("not_ready"));
    harness.scheduler.enter(SchedulerState::Serving);
    assert_eq!(harness.get("/readyz").await.head.status, 200);
}

#[actix_web::test]
async fn the_scheduler_list_speaks_in_milliseconds_and_classes() {
    let harness = Harness::start().await;
    let list = harness.get("/admin/schedulers").await.json();
    assert_snapshot("schedulers", &list);
}

#[actix_web::test]
async fn requests_are_counted_by_route_and_status() {
    let harness = Harness::start().await;
    let series = r#"hostler_http_requests_total{route="/v1/chat/completions",status="200"}"#;
    let before = harness.metric(series).await;
    assert_eq!(harness.post("/v1/chat/completions", &chat("hello")).await.head.status, 200);
    // Other tests of this process count into the same registry.
    assert!(harness.metric(series).await >= before + 1.0);
    assert_eq!(harness.get("/nothing/at/all").await.head.status, 404);
    let metrics = harness.get("/metrics").await;
    assert!(metrics.body.contains(r#"route="none",status="404""#), "a label must not come from a client");
    assert!(!metrics.body.contains("/nothing/at/all"));
}

#[actix_web::test]
async fn every_response_says_its_request_id_and_time() {
    let harness = Harness::start().await;
    for path in ["/livez", "/v1/models", "/nothing"] {
        let response = harness.send("GET", path, &[("x-request-id", "job-7")], b"").await;
        assert_eq!(response.head.header("x-request-id"), Some("job-7"), "{path}");
        assert!(response.head.header("server-timing").is_some_and(|timing| timing.starts_with("total;dur=")), "{path}");
    }
    let made = harness.get("/livez").await;
    assert_eq!(made.head.header("x-request-id").map(str::len), Some(32));
    let replaced = harness.send("GET", "/livez", &[("x-request-id", "two words")], b"").await;
    assert_eq!(replaced.head.header("x-request-id").map(str::len), Some(32));
    assert_eq!(replaced.head.header("x-hostler-ignored"), Some("x-request-id"));
}
