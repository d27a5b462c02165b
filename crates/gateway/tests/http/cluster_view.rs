//! `GET /admin/cluster`

use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use hostler_gateway::{Directory, DirectoryStatus};
use hostler_protocol::{Engine, NodeState, NodeStatus};
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::SchedulerSnapshot;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::fake::FakeScheduler;
use crate::fake_view::FakeView;
use crate::harness::{MODEL, Site, serve_in};

fn connected(name: &str, schedulers: &[&str]) -> NodeStatus {
    NodeStatus {
        name: Some(name.into()),
        endpoint: Some(format!("http://{name}:7070")),
        version: Some("0.1.0".to_owned()),
        state: NodeState::Connected,
        failure: None,
        last_heartbeat: Some(Duration::from_millis(250)),
        schedulers: schedulers.iter().map(|&name| name.into()).collect(),
    }
}

/// A gateway whose router has the scheduler `demo-0`. The router must be kept.
async fn gateway(view: FakeView) -> (Router, Site) {
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    router.add(Arc::new(FakeScheduler::new(MODEL, Engine::Simulated)) as _).await.expect("the router runs");
    let (_, site) = serve_in(Arc::new(view), &router, |_| {});
    (router, site)
}

async fn shown(site: &Site) -> Value {
    let answer = site.get("/admin/cluster").await;
    assert_eq!(answer.head.status, 200, "{}", answer.body);
    answer.json()
}

#[actix_web::test]
async fn nodes_have_their_state_and_schedulers_their_node() {
    let lost = NodeStatus {
        state: NodeState::Lost,
        failure: Some("no heartbeat for 3s".to_owned()),
        last_heartbeat: Some(Duration::from_secs(75)),
        ..connected("w2", &["w2.loading"])
    };
    let unreached = NodeStatus {
        name: None,
        version: None,
        state: NodeState::Unreached,
        failure: Some("it cannot be reached".to_owned()),
        last_heartbeat: None,
        ..connected("w3", &[])
    };
    let loading = SchedulerSnapshot::starting("w2.loading".into(), "other".into(), 4);
    let joined = SchedulerSnapshot::starting("demo-0".into(), MODEL.into(), 8);
    let (_router, site) = gateway(FakeView {
        directory: Directory { name: "static", status: None },
        nodes: vec![connected("w1", &["demo-0"]), lost, unreached],
        schedulers: vec![joined, loading],
    })
    .await;
    let cluster = shown(&site).await;
    assert_eq!(cluster["object"], "cluster");
    assert_eq!(cluster["gateway"]["node"], "gateway-1");
    assert_eq!(cluster["gateway"]["membership"], "static");
    assert!(cluster["gateway"]["uptime_seconds"].is_u64() && cluster["gateway"].get("etcd").is_none(), "{cluster}");
    let nodes = json!([
        {"name": "w1", "endpoint": "http://w1:7070", "version": "0.1.0", "state": "connected", "failure": null,
         "last_sign_of_life_seconds": 0.25, "schedulers": ["demo-0"]},
        {"name": "w2", "endpoint": "http://w2:7070", "version": "0.1.0", "state": "lost",
         "failure": "no heartbeat for 3s", "last_sign_of_life_seconds": 75.0, "schedulers": ["w2.loading"]},
        {"name": null, "endpoint": "http://w3:7070", "version": null, "state": "unreached",
         "failure": "it cannot be reached", "last_sign_of_life_seconds": null, "schedulers": []},
    ]);
    assert_eq!(cluster["nodes"], nodes);
    // A scheduler that has joined is shown once, as the router sees it.
    let list = site.get("/admin/schedulers").await.json();
    let mut first = list["data"][0].clone();
    first["node"] = json!("w1");
    first["joined"] = json!(true);
    assert_eq!(cluster["schedulers"].as_array().map(Vec::len), Some(2), "{cluster}");
    assert_eq!(cluster["schedulers"][0], first);
    let second = &cluster["schedulers"][1];
    assert_eq!(
        (&second["id"], &second["node"], &second["joined"], &second["state"]),
        (&json!("w2.loading"), &json!("w2"), &json!(false), &json!("starting"))
    );
    assert_eq!(cluster["claims"], json!([]));
}

#[actix_web::test]
async fn an_unreachable_directory_is_shown_with_reason_and_age() {
    for (status, expected) in [
        (DirectoryStatus::default(), json!({"reachable": true, "failure": null, "stale_seconds": null})),
        (
            DirectoryStatus { failure: Some("refused".to_owned()), stale: Some(Duration::from_millis(12_500)) },
            json!({"reachable": false, "failure": "refused", "stale_seconds": 12.5}),
        ),
    ] {
        let directory = Directory { name: "etcd", status: Some(status) };
        let (_router, site) = gateway(FakeView { directory, ..FakeView::default() }).await;
        let cluster = shown(&site).await;
        assert_eq!((&cluster["gateway"]["membership"], &cluster["gateway"]["etcd"]), (&json!("etcd"), &expected));
    }
}

#[actix_web::test]
async fn a_claim_has_its_owner_and_its_age() {
    let cluster = Cluster::start("older", 2, 1.0).await;
    let spec = json!({"scheduler": "older-1", "owner": "a tool", "ttl_seconds": 60, "wait": true});
    let made = cluster.site.post("/admin/claims", &spec).await;
    assert_eq!(made.head.status, 201, "{}", made.body);
    let claim = async || shown(&cluster.site).await["claims"][0].clone();
    let (first, second) = (claim().await, claim().await);
    assert_eq!((&first["owner"], &first["scheduler"]), (&json!("a tool"), &json!("older-1")));
    assert_eq!(first["token"], made.json()["token"]);
    let age = |claim: &Value| claim["age_seconds"].as_f64().expect("a number");
    assert!(age(&first) > 0.0 && age(&second) > age(&first), "{first} {second}");
    let token = first["token"].to_string();
    cluster.site.send("POST", &format!("/admin/claims/{token}/heartbeat"), &[], b"").await;
    assert!(age(&claim().await) > age(&second), "a heartbeat does not reset the age");
}
