//! A hundred consecutive claims under live traffic, ended in every possible way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use hostler_scheduler::SchedulerState;
use serde_json::json;

use crate::client::within;
use crate::cluster::{Cluster, endless, small};
use crate::harness::with;

/// Consecutive claims. Some rounds are benchmarks, which measure the generator's ceiling first
/// and so take longer.
const ROUNDS: usize = 100;

/// Clients that send requests at the same time.
const CLIENTS: usize = 4;

#[actix_web::test]
async fn a_hundred_claims_leave_nothing_behind_and_lose_no_request() {
    let cluster = Cluster::start("soak", 2, 1.0).await;
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let traffic = join_all((0..CLIENTS).map(|_| async {
        while !over.load(Ordering::Relaxed) {
            let answer = cluster.site.post("/generate", &json!({"prompt": "hello", "max_tokens": 5})).await;
            assert_eq!(answer.head.status, 200, "{}", answer.body);
            assert_eq!(answer.json()["data"]["tokens"].as_array().map(Vec::len), Some(5));
            served.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let claims = async {
        for round in 0..ROUNDS {
            claim(&cluster, round).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    // Without the usual timeout, because a hundred rounds can take long on a busy machine.
    let ((), _) = futures::join!(claims, traffic);
    assert!(served.load(Ordering::Relaxed) > CLIENTS);

    for n in 0..2 {
        cluster.serves(n).await;
        cluster.shows(n, |now| now.running == 0 && now.waiting_total() == 0 && now.kv_reserved_tokens == 0).await;
        for gauge in ["hostler_router_claims_held", "hostler_router_requests_in_flight"] {
            settles(&cluster, &format!("{gauge}{{model=\"demo\",scheduler=\"soak-{n}\"}}"), 0.0).await;
        }
        let serving = format!("hostler_scheduler_state{{model=\"demo\",scheduler=\"soak-{n}\",state=\"serving\"}}");
        settles(&cluster, &serving, 1.0).await;
    }
    let ended = async |outcome: &str| {
        let of = |n| format!("hostler_router_claims_total{{scheduler=\"soak-{n}\",outcome=\"{outcome}\"}}");
        cluster.site.metric(&of(0)).await + cluster.site.metric(&of(1)).await
    };
    let (released, lost) = (ended("released").await, ended("lost").await);
    assert_eq!((released + lost, lost), (ROUNDS as f64, (ROUNDS / 25) as f64), "{released} released");
    let list = cluster.site.get("/admin/claims").await.json();
    assert_eq!(list["data"], json!([]));
}

/// Waits until a series has this value: metrics follow events with a delay.
async fn settles(cluster: &Cluster, series: &str, value: f64) {
    within(series, async {
        while cluster.site.metric(series).await != value {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// One claim on one of the schedulers, which ends in a way that depends on the round.
async fn claim(cluster: &Cluster, round: usize) {
    let n = round % 2;
    cluster.serves(n).await;
    let scheduler = format!("soak-{n}");
    match round % 25 {
        // It is not renewed, so it expires.
        0 => {
            let spec = json!({"scheduler": scheduler, "ttl_seconds": 1});
            let made = cluster.site.post("/admin/claims", &spec).await;
            assert_eq!(made.head.status, 201, "{}", made.body);
            cluster.serves(n).await;
        }
        // Benchmarks: one ends, one is cancelled, the client of one disconnects.
        5 => {
            let id = cluster.order(&with(small(), json!({"scheduler": scheduler}))).await;
            assert_eq!(cluster.watch(&id).await.last(), Some(&json!("done")));
        }
        10 => {
            let id = cluster.order(&with(endless(), json!({"scheduler": scheduler}))).await;
            cluster.shows(n, |now| now.state == SchedulerState::Claimed && now.running > 0).await;
            cluster.site.send("DELETE", &format!("/v1/benchmarks/{id}"), &[], b"").await;
            assert_eq!(cluster.watch(&id).await.last(), Some(&json!("cancelled")));
        }
        15 => {
            let order = json!({"scheduler": scheduler, "requests": 100_000});
            let connection = cluster.send("/benchmark", &order).await;
            cluster.shows(n, |now| now.state == SchedulerState::Claimed).await;
            drop(connection);
            cluster.serves(n).await;
        }
        // A tool disconnects while it waits for the drain, or just after.
        way if way % 3 == 0 => {
            let connection = cluster.send("/admin/claims", &json!({"scheduler": scheduler, "wait": true})).await;
            cluster.shows(n, |now| now.claim.is_some()).await;
            drop(connection);
            // If it received its response just before, the claim is in the list.
            release_all(cluster).await;
            cluster.serves(n).await;
        }
        // A tool releases its claim.
        way => {
            let spec = json!({"scheduler": scheduler, "wait": way % 2 == 0});
            let made = cluster.site.post("/admin/claims", &spec).await;
            assert_eq!(made.head.status, 201, "{}", made.body);
            let token = made.json()["token"].as_u64().expect("a number");
            let released = cluster.site.send("DELETE", &format!("/admin/claims/{token}"), &[], b"").await;
            assert_eq!(released.head.status, 200, "{}", released.body);
        }
    }
}

async fn release_all(cluster: &Cluster) {
    let list = within("the list", cluster.site.get("/admin/claims")).await.json();
    for claim in list["data"].as_array().expect("a list") {
        let token = claim["token"].as_u64().expect("a number");
        // It may have ended by itself, so the response does not matter.
        cluster.site.send("DELETE", &format!("/admin/claims/{token}"), &[], b"").await;
    }
}
