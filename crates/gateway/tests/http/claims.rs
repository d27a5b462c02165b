//! Claims over HTTP, for operators' own tools.

use hostler_scheduler::SchedulerState;
use serde_json::json;

use crate::cluster::Cluster;

#[actix_web::test]
async fn a_claim_is_created_used_renewed_and_released_by_its_token() {
    let cluster = Cluster::start("tool", 2, 1.0).await;
    let spec = json!({"scheduler": "tool-1", "owner": "a tool", "ttl_seconds": 60, "wait": true});
    let made = cluster.site.post("/admin/claims", &spec).await;
    assert_eq!(made.head.status, 201, "{}", made.body);
    let claim = made.json();
    assert_eq!((&claim["scheduler"], &claim["claimed"]), (&json!("tool-1"), &json!(true)));
    assert!(claim["drain_seconds"].is_number());
    let token = claim["token"].as_u64().expect("a number").to_string();
    assert_eq!(made.head.header("location"), Some(format!("/admin/claims/{token}").as_str()));

    let list = cluster.site.get("/admin/claims").await.json();
    assert_eq!(list["data"][0]["owner"], json!("a tool"), "{list}");
    let schedulers = cluster.site.get("/admin/schedulers").await.json();
    let shown = schedulers["data"].as_array().expect("a list").iter().find(|one| one["id"] == json!("tool-1"));
    assert_eq!(shown.map(|one| one["claim"]["token"].clone()), Some(claim["token"].clone()));

    let body = json!({"prompt": "hello", "max_tokens": 2}).to_string();
    let served_by = async |headers: &[(&str, &str)]| {
        let answer = cluster.site.send("POST", "/generate", headers, body.as_bytes()).await;
        assert_eq!(answer.head.status, 200, "{}", answer.body);
        answer.head.header("x-hostler-scheduler").map(str::to_owned)
    };
    assert_eq!(served_by(&[("x-hostler-claim", &token)]).await.as_deref(), Some("tool-1"));
    assert_eq!(served_by(&[]).await.as_deref(), Some("tool-0"));

    let heartbeat = format!("/admin/claims/{token}/heartbeat");
    assert_eq!(cluster.site.send("POST", &heartbeat, &[], b"").await.json()["renewed"], json!(true));
    let release = format!("/admin/claims/{token}");
    assert_eq!(cluster.site.send("DELETE", &release, &[], b"").await.json()["released"], json!(true));
    cluster.serves(1).await;
    for (method, path) in [("POST", &heartbeat), ("DELETE", &release)] {
        let ended = cluster.site.send(method, path, &[], b"").await;
        assert_eq!((ended.head.status, ended.error("code")), (404, json!("not_found")), "{path}");
    }
}

#[actix_web::test]
async fn a_client_that_disconnects_before_it_has_the_token_has_no_claim() {
    let cluster = Cluster::start("left", 2, 20.0).await;
    // Runs as long as the test, so the claim keeps waiting for it to end.
    let _running = cluster.send("/generate", &json!({"prompt": "hello", "max_tokens": 2000})).await;
    cluster.shows(0, |now| now.running == 1).await;
    let waiting = cluster.send("/admin/claims", &json!({"scheduler": "left-0", "wait": true})).await;
    cluster.shows(0, |now| now.state == SchedulerState::Draining && now.claim.is_some()).await;
    drop(waiting);
    cluster.serves(0).await;
}

#[actix_web::test]
async fn an_invalid_claim_is_refused_with_the_field() {
    let cluster = Cluster::start("no", 1, 1.0).await;
    for (body, status, param) in [
        (json!({"ttl_seconds": 0}), 400, "ttl_seconds"),
        (json!({"ttl_seconds": 1e9}), 400, "ttl_seconds"),
        (json!({"owner": ""}), 400, "owner"),
        (json!({"drain": "now"}), 400, "drain"),
        (json!({"schedulers": []}), 400, "schedulers"),
        (json!({"scheduler": "x"}), 404, "scheduler"),
        (json!({"model": "x"}), 404, "model"),
        (json!({}), 503, "min_serving"),
    ] {
        let refused = cluster.site.post("/admin/claims", &body).await;
        assert_eq!((refused.head.status, refused.error("param")), (status, json!(param)), "{body}: {}", refused.body);
    }
    let unreadable = cluster.site.send("DELETE", "/admin/claims/first", &[], b"").await;
    assert_eq!((unreadable.head.status, unreadable.error("param")), (400, json!("token")));
}
