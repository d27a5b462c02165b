//! Deadlines and shutdown.

use std::time::Duration;

use hostler_gateway::ServerConfig;
use serde_json::json;

use crate::client::within;
use crate::harness::{Harness, chat, with};

#[actix_web::test]
async fn a_shutdown_finishes_running_requests_and_closes_idle_connections() {
    let Harness { gateway, scheduler, site, router } = Harness::start().await;
    let mut streaming = site.connect().await;
    let body = json!({"prompt": "gated", "max_tokens": 4, "stream": true}).to_string();
    streaming.send("POST", "/generate", &[], body.as_bytes()).await;
    scheduler.gate.add_permits(1);
    let head = streaming.head().await;
    streaming.chunk().await.expect("the first token");
    let mut idle = site.connect().await;
    idle.send("GET", "/livez", &[], b"").await;
    assert_eq!(idle.response().await.head.status, 200);

    let stopping = actix_web::rt::spawn(gateway.stop());
    within("the listener's end", async {
        while tokio::net::TcpStream::connect(site.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(within("the idle connection's end", idle.is_closed()).await);

    scheduler.gate.add_permits(3);
    let rest = streaming.body(&head).await;
    assert!(rest.ends_with("data: [DONE]\n\n") && rest.contains("four"), "{rest}");
    assert!(within("the stop", stopping).await.expect("no panic"), "everything ended in time");
    assert_eq!(scheduler.drained(), 0, "other gateways may still use it");
    assert!(!router.is_ready());
}

#[actix_web::test]
async fn an_announced_shutdown_still_serves_requests() {
    let announced = |config: &mut ServerConfig| config.unready = Duration::from_secs(3600);
    let Harness { gateway, site, router, .. } = Harness::start_with(announced).await;
    let stopping = actix_web::rt::spawn(gateway.stop());
    within("not being ready", async { while site.get("/readyz").await.head.status != 503 {} }).await;
    let answered = site.post("/v1/chat/completions", &chat("hello")).await;
    assert_eq!((answered.head.status, answered.head.header("connection")), (200, Some("close")));
    stopping.abort();
    drop(router);
}

#[actix_web::test]
async fn a_shutdown_cancels_requests_after_the_drain_timeout() {
    let short_drain = |config: &mut ServerConfig| config.drain_timeout = Duration::from_millis(50);
    let Harness { gateway, scheduler, site, router } = Harness::start_with(short_drain).await;
    let mut hanging = site.connect().await;
    hanging.send("POST", "/generate", &[], json!({"prompt": "gated"}).to_string().as_bytes()).await;
    let mut alive = scheduler.alive.subscribe();
    within("the generation", alive.wait_for(|&alive| alive == 1)).await.expect("the sender lives");
    assert!(!within("the stop", gateway.stop()).await, "something was cut off");
    within("the generation's end", alive.wait_for(|&alive| alive == 0)).await.expect("the sender lives");
    drop(router);
}

#[actix_web::test]
async fn a_client_gets_an_error_if_its_scheduler_is_lost() {
    let harness = Harness::start().await;
    let body = with(chat("hang"), json!({"timeout": 0.05, "max_tokens": 1, "stream": true}));
    let response = harness.post("/v1/chat/completions", &body).await;
    // The scheduler sends neither a token nor an end.
    assert_eq!(response.head.status, 504, "{}", response.body);
    harness.alive(0).await;
}
