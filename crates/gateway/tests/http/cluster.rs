//! The gateway over the real router and several real schedulers of the simulated engine.

use std::sync::Arc;

use actix_rt::Arbiter;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_gateway::ServerConfig;
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};
use serde_json::{Value, json};

use crate::client::{Connection, within};
use crate::harness::{MODEL, Site, exporter, serve};

pub(crate) struct Cluster {
    pub(crate) site: Site,
    pub(crate) schedulers: Vec<Arc<LocalScheduler>>,
    _router: Router,
}

impl Cluster {
    /// Starts `count` schedulers of one model, named `NAME-0`, `NAME-1`, …. All tests of a process
    /// share its metrics, so each test uses its own name. A step takes `step_ms`.
    pub(crate) async fn start(name: &str, count: usize, step_ms: f64) -> Self {
        Self::start_with(name, count, step_ms, |_| {}).await
    }

    pub(crate) async fn start_with(
        name: &str,
        count: usize,
        step_ms: f64,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        exporter();
        let router = Router::start(RouterConfig::default(), &Arbiter::current());
        let mut schedulers = Vec::new();
        for n in 0..count {
            let cost = CostModel { decode_step_ms: step_ms, ..CostModel::FREE };
            let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
            let factory = SimulatedFactory::new(MODEL, engine).expect("a valid engine");
            let config = SchedulerConfig::new(format!("{name}-{n}").as_str(), MODEL);
            let scheduler = LocalScheduler::start(config, Arc::new(factory));
            router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
            schedulers.push(scheduler);
        }
        let (_, site) = serve(&router, change);
        let cluster = Self { site, schedulers, _router: router };
        for n in 0..count {
            cluster.serves(n).await;
        }
        cluster
    }

    pub(crate) async fn shows(&self, n: usize, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.schedulers[n].snapshot();
        within("the scheduler's state", snapshot.wait_for(condition)).await.expect("the scheduler lives");
    }

    pub(crate) async fn serves(&self, n: usize) {
        self.shows(n, |now| now.state == SchedulerState::Serving && now.claim.is_none()).await;
    }

    /// Orders a benchmark.
    pub(crate) async fn order(&self, order: &Value) -> String {
        let accepted = self.site.post("/v1/benchmarks", order).await;
        assert_eq!(accepted.head.status, 202, "{}", accepted.body);
        accepted.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Follows a benchmark's events to its end, and returns the statuses that it went through.
    pub(crate) async fn watch(&self, id: &str) -> Vec<Value> {
        let events = self.site.get(&format!("/v1/benchmarks/{id}/events")).await;
        events.assert_is_event_stream();
        assert_eq!(events.events().last().map(|(_, data)| *data), Some("[DONE]"), "{}", events.body);
        let mut statuses: Vec<Value> = events.chunks().into_iter().map(|event| event["status"].clone()).collect();
        statuses.dedup();
        statuses
    }

    /// Sends a request without reading the response.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Connection {
        let mut connection = self.site.connect().await;
        let headers = [("content-type", "application/json")];
        connection.send("POST", path, &headers, body.to_string().as_bytes()).await;
        connection
    }
}

/// A small benchmark.
pub(crate) fn small() -> Value {
    json!({"requests": 6, "max_tokens": 4, "shape": {"kind": "concurrent", "concurrency": 2}})
}

/// A benchmark that lasts until it is cancelled.
pub(crate) fn endless() -> Value {
    json!({"requests": 100_000, "max_tokens": 100})
}
