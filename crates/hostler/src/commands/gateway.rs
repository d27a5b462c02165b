//! `hostler gateway`: HTTP and the router, over workers.

use std::sync::Arc;

use actix_rt::{Arbiter, System};
use anyhow::{Context, bail};
use hostler_cluster::membership::{Etcd, EtcdLedger, Members, Role, Roster};
use hostler_config::Config;
use hostler_router::Router;
use hostler_telemetry::Exporter;
use serde_json::json;
use tokio::sync::watch;

use crate::cli::GatewayOptions;
use crate::cluster::{self, Transport};
use crate::configuration;
use crate::failure::Usage;
use crate::http::{Http, reachable};
use crate::signals::Signals;
use crate::telemetry::{Telemetry, init_logs, machine_name, upkeep};
use crate::view::Workers;

pub(crate) fn run(options: &GatewayOptions, as_json: bool) -> anyhow::Result<()> {
    let config = configuration::load_gateway(options)?;
    config.server.check_exposure()?;
    if config.cluster.workers.is_empty() && !config.cluster.etcd.is_used() {
        let message = "cluster.workers and cluster.etcd.endpoints are empty; a gateway needs workers, such as \
                       http://10.0.0.2:7070, or an etcd in which they register, such as http://10.0.0.1:2379";
        bail!(Usage(message.to_owned()));
    }
    init_logs(&config.log)?;
    let telemetry = Telemetry::start(&config, &machine_name())?;
    let transport = Transport::start()?;
    let served = System::new().block_on(serve(config, telemetry.exporter.clone(), &transport, as_json));
    telemetry.shutdown();
    served
}

async fn serve(config: Config, exporter: Exporter, transport: &Transport, as_json: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let arbiter = Arbiter::new();
    let etcd = cluster::etcd(&config.cluster.etcd, Role::Gateway)?.map(Arc::new);
    let router = match &etcd {
        Some(etcd) => {
            let ledger = Arc::new(EtcdLedger::new(Arc::clone(etcd)));
            Router::start_with(config.router.clone(), ledger, &arbiter.handle())
        }
        None => Router::start(config.router.clone(), &arbiter.handle()),
    };
    actix_rt::spawn(upkeep(exporter.clone()));
    let remote = cluster::remote(&config.cluster)?;
    // Only workers know the configuration of their schedulers.
    let roster = roster(&config, etcd.as_deref());
    let members = transport.enter(|| Members::follow(roster, remote, router.clone()));
    let view = Workers { known: members.known(), etcd: etcd.as_ref().map(|etcd| etcd.health()) };
    let http = Http::start(&config, &router, Arc::new(()), Arc::new(view), exporter)?;
    announce(&config, &http, as_json);

    let signal = signals.next().await;
    tracing::info!(signal, "completing running requests; a second signal exits immediately");
    actix_rt::spawn(signals.end_at_next());
    let drained = http.stop().await;
    arbiter.stop();
    drop(members);
    if let Some(etcd) = etcd {
        etcd.leave().await;
    }
    if !drained {
        bail!("requests still ran after {} s and were cancelled", config.server.drain_timeout.as_secs());
    }
    tracing::info!("stopped");
    Ok(())
}

/// The workers of the configuration, or those that are registered in etcd.
fn roster(config: &Config, etcd: Option<&Etcd>) -> watch::Receiver<Roster> {
    match etcd {
        Some(etcd) => etcd.roster(),
        // The list never changes, so its sender is not needed.
        None => watch::channel(Roster::fixed(&config.cluster.workers)).1,
    }
}

/// Prints the URL.
fn announce(config: &Config, http: &Http, as_json: bool) {
    let url = format!("{}://{}", config.server.scheme(), reachable(http.address()));
    let cluster = &config.cluster;
    if as_json {
        let places =
            json!({ "listening": true, "url": url, "workers": cluster.workers, "etcd": cluster.etcd.endpoints });
        println!("{places}");
    } else if cluster.etcd.is_used() {
        println!("listening on {url} for the workers registered in etcd at {}", cluster.etcd.endpoints.join(", "));
    } else {
        println!("listening on {url} for {} workers", cluster.workers.len());
    }
}
