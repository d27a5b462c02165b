//! Every route with its methods and the key that it requires.

use std::collections::BTreeMap;

use serde_json::json;

use crate::auth::keys;
use crate::harness::Harness;

/// The key that an endpoint requires.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    Public,
    AnyKey,
    AdminKey,
}

use Access::{AdminKey, AnyKey, Public};

const ROUTES: [(&str, &str, Access); 32] = [
    ("GET", "/", Public),
    ("GET", "/health", Public),
    ("GET", "/livez", Public),
    ("GET", "/readyz", Public),
    ("GET", "/metrics", Public),
    ("GET", "/v1/models", AnyKey),
    ("GET", "/v1/models/{id}", AnyKey),
    ("POST", "/v1/chat/completions", AnyKey),
    ("POST", "/v1/completions", AnyKey),
    ("POST", "/v1/embeddings", AnyKey),
    ("POST", "/v1/messages", AnyKey),
    ("POST", "/v1/messages/count_tokens", AnyKey),
    ("DELETE", "/v1/requests/{id}", AnyKey),
    ("POST", "/tokenize", AnyKey),
    ("POST", "/detokenize", AnyKey),
    ("POST", "/generate", AnyKey),
    ("POST", "/generate_stream", AnyKey),
    ("POST", "/encode", AnyKey),
    ("GET", "/model/info", AnyKey),
    ("POST", "/benchmark", AdminKey),
    ("POST", "/v1/benchmarks", AdminKey),
    ("GET", "/v1/benchmarks", AdminKey),
    ("GET", "/v1/benchmarks/{id}", AdminKey),
    ("DELETE", "/v1/benchmarks/{id}", AdminKey),
    ("GET", "/v1/benchmarks/{id}/events", AdminKey),
    ("GET", "/admin/cluster", AdminKey),
    ("GET", "/admin/schedulers", AdminKey),
    ("GET", "/admin/route/explain", AdminKey),
    ("POST", "/admin/claims", AdminKey),
    ("GET", "/admin/claims", AdminKey),
    ("DELETE", "/admin/claims/{token}", AdminKey),
    ("POST", "/admin/claims/{token}/heartbeat", AdminKey),
];

/// A path with values for its parameters. Nothing has the id or the token, except the model.
fn concrete(path: &str) -> String {
    let id = if path.starts_with("/v1/models") { "demo" } else { "unknown" };
    path.replace("{id}", id).replace("{token}", "1")
}

#[actix_web::test]
async fn the_index_lists_every_route() {
    let harness = Harness::start().await;
    let index = harness.get("/").await.json();
    assert_eq!(index["success"], json!(true));
    let mut listed: Vec<_> = index["data"]["endpoints"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|endpoint| {
            assert!(endpoint["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{endpoint}");
            (endpoint["path"].as_str().expect("text"), endpoint["method"].as_str().expect("text"))
        })
        .collect();
    let mut expected: Vec<_> = ROUTES.iter().map(|&(method, path, _)| (path, method)).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[actix_web::test]
async fn every_route_requires_its_key() {
    let harness = Harness::start_with(keys).await;
    for (method, path, access) in ROUTES {
        let status = async |key: Option<&str>| {
            let authorization = key.map(|key| format!("Bearer {key}")).unwrap_or_default();
            let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
            let headers = if key.is_some() { &headers[..] } else { &headers[..1] };
            harness.send(method, &concrete(path), headers, b"").await.head.status
        };
        let is_refused = |status: u16| [401, 403, 405].contains(&status);
        let without = status(None).await;
        let user = status(Some("a-secret")).await;
        let admin = status(Some("r-secret")).await;
        if access == Public {
            assert!(!is_refused(without), "{method} {path}: {without}");
        } else {
            assert_eq!(without, 401, "{method} {path}");
            assert_eq!(status(Some("wrong")).await, 401, "{method} {path}");
        }
        match access {
            Public | AnyKey => assert!(!is_refused(user), "{method} {path}: {user}"),
            AdminKey => assert_eq!(user, 403, "{method} {path}"),
        }
        assert!(!is_refused(admin), "{method} {path}: {admin}");
    }
}

#[actix_web::test]
async fn other_methods_are_refused_with_those_that_a_path_allows() {
    let harness = Harness::start().await;
    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (method, path, _) in ROUTES {
        let methods: &[&str] = if method == "GET" { &["GET", "HEAD"] } else { &[method] };
        allowed.entry(path).or_default().extend(methods);
    }
    for (path, methods) in allowed {
        let refused = harness.send("PATCH", &concrete(path), &[], b"").await;
        assert_eq!(refused.head.status, 405, "{path}");
        // Anthropic's errors have no code.
        if !path.starts_with("/v1/messages") {
            assert_eq!(refused.error("code"), json!("method_not_allowed"), "{path}");
        }
        assert_eq!(refused.head.header("allow"), Some(methods.join(", ").as_str()), "{path}");
    }
}

#[actix_web::test]
async fn head_is_answered_as_get_without_a_body() {
    let harness = Harness::start().await;
    let mut connection = harness.connect().await;
    for (method, path, _) in ROUTES {
        if method != "GET" {
            continue;
        }
        // On one connection: bytes of a body would be read as the next response.
        connection.send("HEAD", &concrete(path), &[], b"").await;
        let head = connection.head().await;
        connection.send("GET", &concrete(path), &[], b"").await;
        let get = connection.response().await;
        assert_eq!(head.status, get.head.status, "{path}");
        assert_eq!(head.header("content-type"), get.head.header("content-type"), "{path}");
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "{path}");
    }
    connection.send("HEAD", "/generate", &[], b"").await;
    let refused = connection.head().await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    assert_eq!(harness.get("/livez").await.head.status, 200);
}

#[actix_web::test]
async fn every_handler_is_reached() {
    let harness = Harness::start().await;
    for (method, path, _) in ROUTES {
        let response = harness.send(method, &concrete(path), &[("content-type", "application/json")], b"").await;
        // Without a body, a handler of POST responds 400; without a benchmark or claim of the
        // id, its handler responds 404; DELETE /v1/requests/{id} refuses the id.
        let expected = match (method, path) {
            (_, path) if path.contains("{token}") || path.starts_with("/v1/benchmarks/") => 404,
            ("GET", _) => 200,
            _ => 400,
        };
        assert_eq!(response.head.status, expected, "{method} {path}: {}", response.body);
        if expected == 404 {
            assert!(
                !response.error("message").to_string().contains("GET / lists"),
                "{method} {path}: {}",
                response.body
            );
        }
    }
}
