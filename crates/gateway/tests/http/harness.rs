//! A gateway with a fake scheduler behind it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use actix_rt::Arbiter;
use hostler_benchmark::{Benchmarks, BenchmarksConfig, LoopbackHttp};
use hostler_gateway::{ClusterView, Gateway, ServerConfig};
use hostler_protocol::Engine;
use hostler_router::{Router, RouterConfig};
use hostler_telemetry::Exporter;
use serde_json::{Value, json};

use crate::client::{Connection, Response, within};
use crate::fake::FakeScheduler;
use crate::fake_view::FakeView;

/// The name of this process.
const NODE: &str = "here";

/// Its only model, unless a test adds another.
pub(crate) const MODEL: &str = "demo";

pub(crate) struct Harness {
    pub(crate) gateway: Gateway,
    pub(crate) router: Router,
    pub(crate) scheduler: Arc<FakeScheduler>,
    pub(crate) site: Site,
}

/// A gateway's address, with methods to send requests to it.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
}

impl Deref for Harness {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// Serves a router on a free port.
pub(crate) fn serve(router: &Router, change: impl FnOnce(&mut ServerConfig)) -> (Gateway, Site) {
    serve_in(Arc::new(FakeView::default()), router, change)
}

/// The same, in a cluster.
pub(crate) fn serve_in(
    cluster: Arc<dyn ClusterView>,
    router: &Router,
    change: impl FnOnce(&mut ServerConfig),
) -> (Gateway, Site) {
    let mut config =
        ServerConfig { address: SocketAddr::from(([127, 0, 0, 1], 0)), http_threads: 1, ..ServerConfig::default() };
    change(&mut config);
    let benchmarks =
        Benchmarks::start(BenchmarksConfig::default(), None, router.clone(), Arc::new(())).expect("no folder");
    let gateway = Gateway::start(config, router.clone(), benchmarks.clone(), cluster, exporter());
    let gateway = gateway.expect("port 0 is free");
    let api_key = None;
    benchmarks.set_loopback_http(LoopbackHttp { url: format!("http://{}", gateway.address()), api_key });
    let site = Site { address: gateway.address() };
    (gateway, site)
}

/// The recorder of metrics. Whatever is counted before it is installed is lost.
pub(crate) fn exporter() -> Exporter {
    static EXPORTER: OnceLock<Exporter> = OnceLock::new();
    EXPORTER.get_or_init(|| Exporter::install(NODE).expect("the only recorder of this process")).clone()
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with a changed configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let router = Router::start(RouterConfig::default(), &Arbiter::current());
        let scheduler = Arc::new(FakeScheduler::new(MODEL, Engine::Simulated));
        router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
        let (gateway, site) = serve(&router, change);
        Self { gateway, router, scheduler, site }
    }

    /// Serves another model too.
    pub(crate) async fn add(&self, model: &str) -> Arc<FakeScheduler> {
        let scheduler = Arc::new(FakeScheduler::new(model, Engine::Mistralrs));
        self.router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
        scheduler
    }

    /// Waits until this many generations exist.
    pub(crate) async fn alive(&self, count: i32) {
        let mut alive = self.scheduler.alive.subscribe();
        within("the count of generations", alive.wait_for(|&alive| alive == count)).await.expect("the sender lives");
    }
}

impl Site {
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut connection = self.connect().await;
        connection.send(method, path, headers, body).await;
        connection.response().await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    /// The value of a series in `/metrics`, named without the `node` label, which all of them
    /// have; 0 if it does not exist.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let metrics = self.get("/metrics").await.body;
        let metrics = metrics.replace(&format!("{{node={NODE:?}}}"), "").replace(&format!("node={NODE:?},"), "");
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }
}

/// A chat with one message.
pub(crate) fn chat(content: &str) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

/// The same value with more fields.
pub(crate) fn with(mut value: Value, fields: Value) -> Value {
    if let (Some(object), Value::Object(fields)) = (value.as_object_mut(), fields) {
        object.extend(fields);
    }
    value
}
