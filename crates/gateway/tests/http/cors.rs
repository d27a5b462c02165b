//! Requests of web pages whose origin is allowed.

use crate::auth::keys;
use crate::harness::{Harness, chat};

const PAGE: &str = "https://app.example";
const CHAT: &str = "/v1/chat/completions";

#[actix_web::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let harness = Harness::start_with(|config| {
        keys(config);
        config.cors_origins = vec![PAGE.to_owned()];
    })
    .await;
    // A preflight has no key.
    let asked = [("origin", PAGE), ("access-control-request-method", "POST")];
    let preflight = harness.send("OPTIONS", CHAT, &asked, b"").await;
    assert_eq!(preflight.head.status, 204, "{}", preflight.body);
    assert_eq!(preflight.head.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(preflight.head.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert!(preflight.head.header("access-control-allow-headers").is_some_and(|all| all.contains("authorization")));
    assert_eq!(preflight.head.header("access-control-allow-credentials"), None);

    let page = [("origin", PAGE), ("sec-fetch-site", "cross-site"), ("content-type", "application/json")];
    let body = chat("hi").to_string();
    for (key, status) in [("a-secret", 200), ("wrong", 401)] {
        let headers = [&page[..], &[("x-api-key", key)]].concat();
        let answer = harness.send("POST", CHAT, &headers, body.as_bytes()).await;
        assert_eq!(answer.head.status, status, "{}", answer.body);
        // Also of an error, which the page could not read otherwise.
        assert_eq!(answer.head.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.head.header("vary"), Some("origin"));
    }
}

#[actix_web::test]
async fn every_other_origin_is_refused() {
    let harness = Harness::start_with(|config| config.cors_origins = vec![PAGE.to_owned()]).await;
    let body = chat("hi").to_string();
    for origin in
        ["https://app.example.evil", "http://app.example", "https://app.example:8443", "null", "HTTPS://APP.EXAMPLE"]
    {
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = harness.send("OPTIONS", CHAT, &asked, b"").await;
        assert_eq!(preflight.head.header("access-control-allow-origin"), None, "{origin}");
        let answer = harness.send("POST", CHAT, &[("origin", origin)], body.as_bytes()).await;
        assert_eq!(answer.head.status, 403, "{origin}");
        assert_eq!(answer.head.header("access-control-allow-origin"), None, "{origin}");
    }
    let harness = Harness::start().await;
    let asked = [("origin", PAGE), ("access-control-request-method", "POST")];
    let preflight = harness.send("OPTIONS", CHAT, &asked, b"").await;
    assert!(preflight.head.status >= 400 && preflight.head.header("access-control-allow-origin").is_none());
}
