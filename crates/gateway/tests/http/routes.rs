//! Every route with its methods and the key that it requires.

use std::collections::BTreeMap;

use serde_json::json;

use crate::auth::keys;
use crate::harness::Harness;

/// What an endpoint requires of a key.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    Public,
    Use,
    Observe,
    Operate,
    Administer,
}

use Access::{Administer, Observe, Operate, Public, Use};

/// The keys of [`keys`], and what each may do besides what is public.
const KEYS: [(&str, &[Access]); 4] = [
    ("a-secret", &[Use]),
    ("m-secret", &[Observe]),
    ("o-secret", &[Use, Observe, Operate]),
    ("r-secret", &[Use, Observe, Operate, Administer]),
];

const ROUTES: [(&str, &str, Access); 40] = [
    ("GET", "/", Public),
    ("GET", "/health", Public),
    ("GET", "/livez", Public),
    ("GET", "/readyz", Public),
    ("GET", "/metrics", Public),
    ("GET", "/v1/models", Use),
    ("GET", "/v1/models/{id}", Use),
    ("POST", "/v1/chat/completions", Use),
    ("POST", "/v1/completions", Use),
    ("POST", "/v1/embeddings", Use),
    ("POST", "/v1/messages", Use),
    ("POST", "/v1/messages/count_tokens", Use),
    ("POST", "/v1/responses", Use),
    ("GET", "/v1/responses/{id}", Use),
    ("DELETE", "/v1/responses/{id}", Use),
    ("POST", "/v1/responses/{id}/cancel", Use),
    ("GET", "/v1/responses/{id}/input_items", Use),
    ("DELETE", "/v1/requests/{id}", Use),
    ("POST", "/tokenize", Use),
    ("POST", "/detokenize", Use),
    ("POST", "/generate", Use),
    ("POST", "/generate_stream", Use),
    ("POST", "/encode", Use),
    ("GET", "/model/info", Use),
    ("POST", "/benchmark", Operate),
    ("POST", "/v1/benchmarks", Operate),
    ("GET", "/v1/benchmarks", Observe),
    ("GET", "/v1/benchmarks/{id}", Observe),
    ("DELETE", "/v1/benchmarks/{id}", Operate),
    ("GET", "/v1/benchmarks/{id}/events", Observe),
    ("GET", "/admin/cluster", Observe),
    ("GET", "/admin/schedulers", Observe),
    ("GET", "/admin/route/explain", Observe),
    ("POST", "/admin/keys", Administer),
    ("GET", "/admin/keys", Observe),
    ("DELETE", "/admin/keys/{name}", Administer),
    ("POST", "/admin/claims", Operate),
    ("GET", "/admin/claims", Observe),
    ("DELETE", "/admin/claims/{token}", Operate),
    ("POST", "/admin/claims/{token}/heartbeat", Operate),
];

/// A path with values for its parameters. Nothing has the id or the token, except the model.
fn concrete(path: &str) -> String {
    let id = if path.starts_with("/v1/models") { "demo" } else { "unknown" };
    path.replace("{id}", id).replace("{token}", "1").replace("{name}", "unknown")
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
        if access == Public {
            assert!(!is_refused(without), "{method} {path}: {without}");
        } else {
            assert_eq!(without, 401, "{method} {path}");
            assert_eq!(status(Some("wrong")).await, 401, "{method} {path}");
        }
        for (key, permitted) in KEYS {
            let status = status(Some(key)).await;
            if access == Public || permitted.contains(&access) {
                assert!(!is_refused(status), "{method} {path} with {key}: {status}");
            } else {
                assert_eq!(status, 403, "{method} {path} with {key}");
            }
        }
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
        // Without a body, a handler of POST responds 400; without a benchmark, response or claim of the
        // id, its handler responds 404; DELETE /v1/requests/{id} refuses the id.
        let expected = match (method, path) {
            (_, path) if path.contains("{token}") || path.starts_with("/v1/benchmarks/") => 404,
            (_, path) if path.starts_with("/v1/responses/") => 404,
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
