//! Keys in a file: created and deleted by the API, or by an editor.

use std::path::{Path, PathBuf};

use hostler_gateway::ServerConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::keys;
use crate::client::{Response, within};
use crate::harness::Harness;

/// A gateway with the keys of [`keys`] and a file for more.
struct Stored {
    harness: Harness,
    folder: TempDir,
}

impl Stored {
    async fn start(text: Option<&str>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = file(folder.path());
        if let Some(text) = text {
            std::fs::write(&file, text).expect("it is writable");
        }
        let harness = Harness::start_with(|config: &mut ServerConfig| {
            keys(config);
            config.key_file = Some(file.clone());
            config.audit_file = Some(folder.path().join("audit.jsonl"));
        });
        Self { harness: harness.await, folder }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(file(self.folder.path())).expect("it is readable")
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).expect("it is readable");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    async fn send(&self, method: &str, path: &str, key: &str, body: &Value) -> Response {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        self.harness.send(method, path, &headers, body.to_string().as_bytes()).await
    }

    async fn models(&self, key: &str) -> u16 {
        self.send("GET", "/v1/models", key, &json!({})).await.head.status
    }

    /// Waits until a key is accepted or refused.
    async fn becomes(&self, key: &str, status: u16) {
        within("the key file to be read", async { while self.models(key).await != status {} }).await;
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("keys.toml")
}

#[actix_web::test]
async fn a_created_key_is_shown_once_stored_hashed_and_valid_until_it_is_deleted() {
    let stored = Stored::start(None).await;
    let order = json!({"name": "shop", "tenant": "web", "role": "observer", "expires": "2999-01-01"});
    let created = stored.send("POST", "/admin/keys", "r-secret", &order).await;
    assert_eq!(created.head.status, 201, "{}", created.body);
    assert_eq!(created.head.header("cache-control"), Some("no-store"));
    let created = created.json();
    let key = created["key"].as_str().expect("it is shown").to_owned();
    assert_eq!(
        (&created["tenant"], &created["role"], &created["source"]),
        (&json!("web"), &json!("observer"), &json!("file"))
    );

    assert_eq!(stored.send("GET", "/admin/cluster", &key, &json!({})).await.head.status, 200);
    assert_eq!(stored.models(&key).await, 403, "an observer uses no model");
    assert!(stored.text().contains("[shop]") && !stored.text().contains(&key), "{}", stored.text());
    let listed = stored.send("GET", "/admin/keys", "m-secret", &json!({})).await;
    let names: Vec<_> =
        listed.json()["data"].as_array().expect("a list").iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["alice", "bench", "monitor", "root", "shop"]);
    assert!(!listed.body.contains(&key) && !listed.body.contains("secret"), "{}", listed.body);

    let path = created["name"].as_str().map(|name| format!("/admin/keys/{name}")).expect("it has a name");
    assert_eq!(stored.send("DELETE", &path, "r-secret", &json!({})).await.head.status, 200);
    assert_eq!(stored.send("GET", "/admin/cluster", &key, &json!({})).await.head.status, 401);
    assert_eq!(stored.send("DELETE", &path, "r-secret", &json!({})).await.head.status, 404);
}

#[actix_web::test]
async fn a_key_that_cannot_be_created_or_deleted_is_refused_with_the_reason() {
    let stored = Stored::start(None).await;
    for (order, reason) in [
        (json!({"name": "alice"}), "alice"),
        (json!({"name": "Bad name"}), "a-z"),
        (json!({"name": "shop", "models": []}), "models"),
        (json!({"name": "shop", "role": "root"}), "role"),
        (json!({"name": "shop", "key": "my-own-secret"}), "unknown field"),
        (json!({"tenant": "shop"}), "name"),
    ] {
        let refused = stored.send("POST", "/admin/keys", "r-secret", &order).await;
        assert_eq!(refused.head.status, 400, "{order}: {}", refused.body);
        assert!(refused.body.contains(reason) && !refused.body.contains("my-own-secret"), "{order}: {}", refused.body);
    }
    let refused = stored.send("DELETE", "/admin/keys/alice", "r-secret", &json!({})).await;
    assert!(refused.head.status == 400 && refused.body.contains("in the configuration"), "{}", refused.body);

    let without_file = Harness::start_with(keys).await;
    let headers = [("x-api-key", "r-secret"), ("content-type", "application/json")];
    let refused = without_file.send("POST", "/admin/keys", &headers, br#"{"name": "shop"}"#).await;
    assert!(refused.head.status == 400 && refused.body.contains("server.key_file"), "{}", refused.body);
}

#[actix_web::test]
async fn the_file_is_read_again_when_it_changes_and_an_invalid_one_changes_nothing() {
    let stored = Stored::start(Some("[shop]\nkey = \"shop-secret\"\n")).await;
    assert_eq!(stored.models("shop-secret").await, 200);
    let write = |text: &str| std::fs::write(file(stored.folder.path()), text).expect("it is writable");

    write("[shop]\nkey = \"other-secret\"\n[night]\nkey = \"night-secret\"\n");
    stored.becomes("night-secret", 200).await;
    assert_eq!((stored.models("shop-secret").await, stored.models("other-secret").await), (401, 200));

    write("[shop]\nkey = \"shop-secret\"\n[broken");
    let refused = stored.send("POST", "/admin/keys", "r-secret", &json!({"name": "new"})).await;
    assert_eq!(refused.head.status, 500, "{}", refused.body);
    assert!(refused.body.contains("line 3") && !refused.body.contains("shop-secret"), "{}", refused.body);
    assert_eq!(stored.models("night-secret").await, 200, "the previous keys stay valid");

    // The name of a key of the configuration.
    write("[alice]\nkey = \"other-secret\"\n[late]\nkey = \"late-secret\"\n");
    write("[late]\nkey = \"late-secret\"\n");
    stored.becomes("late-secret", 200).await;
    assert_eq!((stored.models("other-secret").await, stored.models("a-secret").await), (401, 200));
    std::fs::remove_file(file(stored.folder.path())).expect("it exists");
    stored.becomes("late-secret", 401).await;
}

#[actix_web::test]
async fn a_key_file_closes_the_api_even_without_any_key() {
    let folder = TempDir::new().expect("a folder");
    let harness = Harness::start_with(|config| config.key_file = Some(file(folder.path()))).await;
    assert_eq!(harness.get("/v1/models").await.head.status, 401);
    assert_eq!(harness.get("/livez").await.head.status, 200);
}

#[actix_web::test]
async fn administrative_acts_and_attempts_are_audited() {
    let stored = Stored::start(None).await;
    let created = stored.send("POST", "/admin/keys", "r-secret", &json!({"name": "shop"})).await.json();
    let key = created["key"].as_str().expect("it is shown").to_owned();
    stored.send("DELETE", "/admin/keys/shop", &key, &json!({})).await;
    stored.send("DELETE", "/admin/keys/shop?why=not", "wrong-key", &json!({})).await;
    stored.send("POST", "/v1/benchmarks", "o-secret", &json!({"nonsense": 1})).await;
    // Neither is an act.
    stored.send("GET", "/admin/keys", "r-secret", &json!({})).await;
    stored.send("POST", "/generate", "a-secret", &json!({"prompt": "hi"})).await;

    let lines = stored.audit();
    let brief = |line: &Value| {
        let field = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {} {}", field("key"), field("role"), field("method"), field("path"), line["status"])
    };
    let briefs: Vec<_> = lines.iter().map(brief).collect();
    assert_eq!(
        briefs,
        [
            "root admin POST /admin/keys 201",
            "shop user DELETE /admin/keys/shop 403",
            "- - DELETE /admin/keys/shop 401",
            "bench operator POST /v1/benchmarks 400",
        ]
    );
    let text = serde_json::to_string(&lines).expect("it is JSON");
    assert!(!text.contains(&key) && !text.contains("secret") && !text.contains("wrong-key"), "{text}");
    assert!(lines.iter().all(|line| line["time"].is_string() && line["address"] == "127.0.0.1"), "{text}");
}
