//! API keys.

use hostler_gateway::{ApiKey, ServerConfig};
use serde_json::json;

use crate::harness::{Harness, chat};

pub(crate) fn keys(config: &mut ServerConfig) {
    let key = |name: &str, key: &str, admin| (name.to_owned(), ApiKey { key: key.into(), admin });
    config.api_keys = [key("alice", "a-secret", false), key("root", "r-secret", true)].into();
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
async fn a_key_names_the_tenant_and_only_admins_see_schedulers() {
    let harness = Harness::start_with(keys).await;
    let alice = [("authorization", "Bearer a-secret")];
    let response = harness.send("POST", "/v1/chat/completions", &alice, chat("hi").to_string().as_bytes()).await;
    assert_eq!(response.head.status, 200, "{}", response.body);
    assert_eq!(harness.scheduler.last().tenant, "alice".into());
    for path in ["/admin/schedulers", "/admin/cluster"] {
        let forbidden = harness.send("GET", path, &alice, b"").await;
        assert_eq!((forbidden.head.status, forbidden.error("code")), (403, json!("forbidden")), "{path}");
        let root = harness.send("GET", path, &[("authorization", "Bearer r-secret")], b"").await;
        assert_eq!(root.head.status, 200, "{path}");
        assert_eq!(harness.get(path).await.head.status, 401, "{path}");
    }
}
