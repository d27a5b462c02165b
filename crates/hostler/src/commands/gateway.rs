//! `hostler gateway`: HTTP and the router, over workers.

use std::sync::Arc;

use actix_rt::{Arbiter, System};
use anyhow::{Context, bail};
use hostler_cluster::RemoteNode;
use hostler_cluster::join::join_when_serving;
use hostler_config::Config;
use hostler_router::Router;
use hostler_telemetry::Exporter;
use serde_json::json;

use crate::cli::GatewayOptions;
use crate::cluster::{self, Transport};
use crate::failure::Usage;
use crate::http::{Http, reachable};
use crate::settings;
use crate::signals::Signals;
use crate::telemetry::{Telemetry, machine_name, upkeep};
use crate::view::StaticWorkers;

pub(crate) fn run(options: &GatewayOptions, as_json: bool) -> anyhow::Result<()> {
    let config = settings::load_gateway(options)?;
    if config.cluster.workers.is_empty() {
        bail!(Usage("cluster.workers: it is empty; a gateway needs workers, such as http://10.0.0.2:7070".to_owned()));
    }
    settings::init_logs(&config)?;
    let telemetry = Telemetry::start(&config, &machine_name())?;
    let transport = Transport::start()?;
    let served = System::new().block_on(serve(config, telemetry.exporter.clone(), &transport, as_json));
    telemetry.shutdown();
    served
}

async fn serve(config: Config, exporter: Exporter, transport: &Transport, as_json: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let arbiter = Arbiter::new();
    let router = Router::start(settings::router(&config), &arbiter.handle());
    actix_rt::spawn(upkeep(exporter.clone()));
    let remote = cluster::remote(&config.cluster)?;
    let nodes = transport.enter(|| {
        config.cluster.workers.iter().map(|worker| RemoteNode::connect(worker, &remote)).collect::<Result<Vec<_>, _>>()
    })?;

    // What its schedulers are set to, their workers know.
    let view = StaticWorkers(nodes.iter().map(RemoteNode::view).collect());
    let http = Http::start(&config, &router, Arc::new(()), Arc::new(view), exporter)?;
    for node in nodes {
        let router = router.clone();
        actix_rt::spawn(async move { join_when_serving(&node, &router).await });
    }
    let url = format!("http://{}", reachable(http.address()));
    if as_json {
        println!("{}", json!({ "listening": true, "url": url, "workers": config.cluster.workers }));
    } else {
        println!("listening on {url} for {} workers", config.cluster.workers.len());
    }

    let signal = signals.next().await;
    tracing::info!(signal, "finishing what runs; a second signal ends at once");
    actix_rt::spawn(signals.end_at_next());
    let drained = http.stop().await;
    arbiter.stop();
    if !drained {
        bail!("requests still ran after {} s and were cut off", config.server.drain_timeout_seconds);
    }
    tracing::info!("stopped");
    Ok(())
}
