//! Health, metrics, schedulers, unknown paths.

use hostler_scheduler::SchedulerState;
use serde_json::json;

use crate::harness::{Harness, chat};
use crate::wire::assert_snapshot;

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
    assert_eq!(harness.get("/readyz?model=demo").await.head.status, 200);
    let unknown = harness.get("/readyz?model=another").await;
    assert_eq!((unknown.head.status, unknown.error("code")), (404, json!("model_not_found")));
    assert_eq!(harness.get("/health").await.json()["data"]["status"], json!("ok"));
}

#[actix_web::test]
async fn the_scheduler_list_has_milliseconds_and_priority_classes() {
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
    // Other tests of this process use the same registry.
    assert!(harness.metric(series).await >= before + 1.0);
    assert_eq!(harness.get("/nothing/at/all").await.head.status, 404);
    let metrics = harness.get("/metrics").await;
    assert!(metrics.body.contains(r#"route="none",status="404""#), "a label must not come from a client");
    assert!(!metrics.body.contains("/nothing/at/all"));
}

#[actix_web::test]
async fn every_response_has_a_request_id_and_a_time() {
    let harness = Harness::start().await;
    for path in ["/livez", "/v1/models", "/nothing"] {
        let response = harness.send("GET", path, &[("x-request-id", "job-7")], b"").await;
        assert_eq!(response.head.header("x-request-id"), Some("job-7"), "{path}");
        assert!(response.head.header("server-timing").is_some_and(|timing| timing.starts_with("total;dur=")), "{path}");
    }
    let generated = harness.get("/livez").await;
    assert_eq!(generated.head.header("x-request-id").map(str::len), Some(32));
    let replaced = harness.send("GET", "/livez", &[("x-request-id", "two words")], b"").await;
    assert_eq!(replaced.head.header("x-request-id").map(str::len), Some(32));
    assert_eq!(replaced.head.header("x-hostler-ignored"), Some("x-request-id"));
}
