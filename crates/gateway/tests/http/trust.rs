//! Requests that a web page of another site makes a browser send.

use serde_json::json;

use crate::auth::keys;
use crate::harness::{Harness, chat};

const CHAT: &str = "/v1/chat/completions";

#[actix_web::test]
async fn a_page_of_another_site_changes_nothing() {
    let harness = Harness::start().await;
    let body = chat("hi").to_string();
    for foreign in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        for (method, path) in [("POST", CHAT), ("POST", "/admin/claims/1/heartbeat"), ("DELETE", "/admin/claims/1")] {
            let refused = harness.send(method, path, &[foreign], body.as_bytes()).await;
            assert_eq!((refused.head.status, refused.error("code")), (403, json!("forbidden")), "{method} {foreign:?}");
            assert_eq!(refused.error("param"), json!(foreign.0));
        }
        // A browser shows the answer to no other site.
        assert_eq!(harness.send("GET", "/v1/models", &[foreign], b"").await.head.status, 200);
    }
    let own = [("origin", "http://localhost"), ("sec-fetch-site", "same-origin")];
    assert_eq!(harness.send("POST", CHAT, &own, body.as_bytes()).await.head.status, 200);
}

#[actix_web::test]
async fn without_keys_the_host_is_an_address_or_a_known_name() {
    let harness = Harness::start_with(|config| config.hosts = vec!["gateway".to_owned()]).await;
    let status = async |host: &str, path: &str| harness.send("GET", path, &[("host", host)], b"").await.head.status;
    assert_eq!(status("rebound.example:8080", "/v1/models").await, 403);
    for host in ["gateway:8080", "127.0.0.1:8080", "[::1]", "localhost"] {
        assert_eq!(status(host, "/v1/models").await, 200, "{host}");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status("any.example", path).await, 200, "{path}");
    }
    let harness = Harness::start_with(keys).await;
    let keyed = [("host", "any.example"), ("authorization", "Bearer a-secret")];
    assert_eq!(harness.send("GET", "/v1/models", &keyed, b"").await.head.status, 200);
}
