//! Benchmarks over HTTP: ordered, followed, cancelled, abandoned.

use hostler_scheduler::SchedulerState;
use serde_json::json;

use crate::auth::keys;
use crate::cluster::{Cluster, endless, small};
use crate::harness::with;

#[actix_web::test]
async fn the_compatible_benchmark_responds_in_its_own_format_with_measured_numbers() {
    let cluster = Cluster::start("compat", 1, 2.0).await;
    let order = json!({"requests": 12, "concurrency": 4, "max_tokens": 10, "prompt": "hello", "temperature": 0.7});
    let answer = cluster.site.post("/benchmark", &order).await;
    assert_eq!(answer.head.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["success"], json!(true));
    let data = &answer["data"];
    let number = |name: &str| data[name].as_f64().unwrap_or_else(|| panic!("{name}: {data}"));
    assert_eq!((number("total_requests"), number("successful_requests"), number("failed_requests")), (12.0, 12.0, 0.0));
    assert_eq!(number("avg_generated_tokens"), 10.0);
    // Each request takes one step for its prompt and one for each of ten tokens, so 3 rounds
    // of 4 at a time cannot be faster.
    assert!(number("total_time") >= 3.0 * 9.0 * 0.002, "{data}");
    let (min, mean, max) = (number("min_response_time"), number("avg_response_time"), number("max_response_time"));
    assert!(min > 0.0 && min <= mean && mean <= max, "{data}");
    assert!((number("avg_throughput") * number("total_time") - 12.0).abs() < 0.1, "{data}");
    assert!((number("avg_tokens_per_second") * number("total_time") - 120.0).abs() < 1.0, "{data}");
    assert!(number("total_tokens_processed") > 120.0);
    assert_eq!(data["claim"]["scheduler"], json!("compat-0"));
    assert!(data["claim"]["drain_seconds"].is_number() && data["percentiles"]["ttft"]["p99"].is_number());
    cluster.serves(0).await;
}

#[actix_web::test]
async fn an_order_is_accepted_followed_and_stored() {
    let cluster = Cluster::start("order", 2, 1.0).await;
    let id = cluster.order(&small()).await;
    let statuses = cluster.watch(&id).await;
    assert_eq!(statuses.last(), Some(&json!("done")), "{statuses:?}");
    let one = cluster.site.get(&format!("/v1/benchmarks/{id}")).await.json();
    assert_eq!((&one["status"], &one["object"]), (&json!("done"), &json!("benchmark")));
    assert_eq!(one["result"]["series"][0]["runs"][0]["output_tokens"], json!(24));
    assert_eq!(one["result"]["series"][0]["target"]["layer"], json!("scheduler"));
    let second = cluster.order(&small()).await;
    cluster.watch(&second).await;
    let list = cluster.site.get("/v1/benchmarks").await.json();
    let ids: Vec<_> = list["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!(second), json!(id)], "the newest first");
    assert_eq!(list["data"][0]["result"], json!(null), "the list has no results");
    let after = cluster.site.send("DELETE", &format!("/v1/benchmarks/{id}"), &[], b"").await.json();
    assert_eq!(after["status"], json!("done"), "a finished benchmark cannot be cancelled");
}

#[actix_web::test]
async fn the_ladder_measures_every_layer_on_the_claimed_scheduler() {
    let cluster = Cluster::start("ladder", 2, 1.0).await;
    let order = with(small(), json!({"profile": "ladder", "repeats": 2, "scheduler": "ladder-1"}));
    let id = cluster.order(&order).await;
    cluster.watch(&id).await;
    let one = cluster.site.get(&format!("/v1/benchmarks/{id}")).await.json();
    assert_eq!(one["status"], json!("done"), "{}", one["error"]);
    let series = one["result"]["series"].as_array().expect("a list");
    let names: Vec<_> = series.iter().map(|series| series["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["engine", "scheduler", "router", "http", "http-stream"]);
    for series in series {
        assert_eq!(series["runs"][1]["failed"], json!(0), "{}", series["name"]);
        assert_eq!(series["runs"][1]["output_tokens"], json!(24), "{}", series["name"]);
    }
    assert_eq!(one["result"]["ratios"].as_array().map(Vec::len), Some(7));
    assert_eq!(one["claim"]["scheduler"], json!("ladder-1"));
}

#[actix_web::test]
async fn a_client_that_disconnects_cancels_the_benchmark_that_it_waits_for() {
    let cluster = Cluster::start("leave", 1, 1.0).await;
    let order = json!({"requests": 100_000, "max_tokens": 100});
    let connection = cluster.send("/benchmark", &order).await;
    cluster.shows(0, |now| now.state == SchedulerState::Claimed && now.running > 0).await;
    drop(connection);
    cluster.serves(0).await;
    let list = cluster.site.get("/v1/benchmarks").await.json();
    let id = list["data"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(cluster.watch(&id).await.last(), Some(&json!("cancelled")));
}

#[actix_web::test]
async fn a_cancelled_benchmark_releases_its_scheduler_for_the_next_one() {
    let cluster = Cluster::start("cancel", 2, 1.0).await;
    let order = |layer: &str| with(endless(), json!({"scheduler": "cancel-0", "layers": [layer]}));
    for layer in ["engine", "scheduler", "router", "http-stream"] {
        let first = cluster.order(&order(layer)).await;
        let next = cluster.order(&small()).await;
        cluster.shows(0, |now| now.state == SchedulerState::Claimed).await;
        let cancelled = cluster.site.send("DELETE", &format!("/v1/benchmarks/{first}"), &[], b"").await;
        assert_eq!(cancelled.head.status, 200, "{}", cancelled.body);
        assert_eq!(cluster.watch(&first).await.last(), Some(&json!("cancelled")), "{layer}");
        assert_eq!(cluster.watch(&next).await.last(), Some(&json!("done")), "{layer}");
        cluster.serves(0).await;
    }
}

#[actix_web::test]
async fn head_on_the_events_of_a_running_benchmark_does_not_wait_for_its_end() {
    let cluster = Cluster::start("head", 2, 1.0).await;
    let id = cluster.order(&with(endless(), json!({"scheduler": "head-0"}))).await;
    let mut connection = cluster.site.connect().await;
    connection.send("HEAD", &format!("/v1/benchmarks/{id}/events"), &[], b"").await;
    let head = connection.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    connection.send("DELETE", &format!("/v1/benchmarks/{id}"), &[], b"").await;
    assert_eq!(connection.response().await.head.status, 200);
    cluster.serves(0).await;
}

#[actix_web::test]
async fn requests_for_the_only_scheduler_wait_for_the_benchmark() {
    let cluster = Cluster::start("alone", 1, 1.0).await;
    let id = cluster.order(&with(endless(), json!({"claim": {"min_serving": 0}}))).await;
    cluster.shows(0, |now| now.state == SchedulerState::Claimed && now.running > 0).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(cluster.send("/generate", &json!({"prompt": "hello", "max_tokens": 3})).await);
    }
    cluster.site.send("DELETE", &format!("/v1/benchmarks/{id}"), &[], b"").await;
    for mut connection in waiting {
        let answer = connection.response().await;
        assert_eq!(answer.head.status, 200, "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_claim_below_min_serving_is_refused_with_the_numbers() {
    let cluster = Cluster::start("refused", 1, 1.0).await;
    let refused = cluster.site.post("/benchmark", &json!({"min_serving": 1})).await;
    assert_eq!((refused.head.status, refused.error("param")), (503, json!("min_serving")), "{}", refused.body);
    let id = cluster.order(&small()).await;
    assert_eq!(cluster.watch(&id).await.last(), Some(&json!("failed")));
    let one = cluster.site.get(&format!("/v1/benchmarks/{id}")).await.json();
    assert_eq!(one["error"]["code"], json!("unavailable"));
    assert!(one["error"]["message"].to_string().contains("min_serving is 1"), "{}", one["error"]);
}

#[actix_web::test]
async fn an_invalid_order_is_refused_before_it_is_queued() {
    let cluster = Cluster::start("wrong", 1, 1.0).await;
    for (path, body, param) in [
        ("/benchmark", json!({"requests": "x"}), "requests"),
        ("/benchmark", json!({"request": 1}), "request"),
        ("/benchmark", json!({"max_tokens": 0}), "max_tokens"),
        ("/benchmark", json!({"concurrency": 0}), "shape"),
        ("/v1/benchmarks", json!({"profile": "x"}), "profile"),
        ("/v1/benchmarks", json!({"layers": ["engine", "http"]}), "layers"),
        ("/v1/benchmarks", json!({"claim": {"ttl_seconds": 0.1}}), "claim.ttl_seconds"),
    ] {
        let refused = cluster.site.post(path, &body).await;
        assert_eq!(
            (refused.head.status, refused.error("param")),
            (400, json!(param)),
            "{path} {body}: {}",
            refused.body
        );
    }
    for (method, path) in [("GET", ""), ("GET", "/events"), ("DELETE", "")] {
        let missing = cluster.site.send(method, &format!("/v1/benchmarks/bench-0{path}"), &[], b"").await;
        assert_eq!((missing.head.status, missing.error("code")), (404, json!("not_found")), "{method} {path}");
    }
}

#[actix_web::test]
async fn benchmarks_and_claims_require_an_operator() {
    let cluster = Cluster::start_with("admin", 1, 1.0, keys).await;
    let send = async |method: &str, path: &str, key: &str, more: &[(&str, &str)], body: &str| {
        let key = format!("Bearer {key}");
        let headers = [&[("authorization", key.as_str())], more].concat();
        cluster.site.send(method, path, &headers, body.as_bytes()).await.head.status
    };
    for (method, path) in [
        ("POST", "/benchmark"),
        ("POST", "/v1/benchmarks"),
        ("DELETE", "/v1/benchmarks/x"),
        ("POST", "/admin/claims"),
        ("DELETE", "/admin/claims/1"),
        ("POST", "/admin/claims/1/heartbeat"),
    ] {
        assert_eq!(send(method, path, "a-secret", &[], "{}").await, 403, "{method} {path}");
        assert_eq!(send(method, path, "m-secret", &[], "{}").await, 403, "{method} {path}");
        assert_eq!(send(method, path, "wrong", &[], "{}").await, 401, "{method} {path}");
    }
    let generate = r#"{"prompt": "hello", "max_tokens": 2}"#;
    assert_eq!(send("POST", "/generate", "a-secret", &[], generate).await, 200);
    assert_eq!(send("POST", "/generate", "m-secret", &[], generate).await, 403);
    let claim = [("x-hostler-claim", "1")];
    assert_eq!(send("POST", "/generate", "a-secret", &claim, generate).await, 403);
    assert_eq!(send("POST", "/generate", "o-secret", &claim, generate).await, 503, "the claim does not exist");
    let unreadable = [("x-hostler-claim", "one")];
    assert_eq!(send("POST", "/generate", "o-secret", &unreadable, generate).await, 400);
    assert_eq!(send("GET", "/v1/benchmarks", "o-secret", &[], "").await, 200);
}
