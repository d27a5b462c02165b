//! `hostler worker`: schedulers, for gateways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use anyhow::Context;
use futures::future::join_all;
use hostler_cluster::{Listen, WorkerOptions as NodeOptions, WorkerServer};
use hostler_config::Config;
use hostler_gateway::Probes;
use hostler_protocol::ModelDescription;
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerState};
use hostler_telemetry::Exporter;
use serde_json::json;

use crate::cli::WorkerOptions;
use crate::cluster::{self, Transport};
use crate::progress::LoadSpinner;
use crate::schedulers::{self, Planned};
use crate::settings;
use crate::signals::Signals;
use crate::telemetry::{Telemetry, upkeep};

/// How long calls may take to end when every scheduler has stopped, so that the last
/// words of their streams arrive.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &WorkerOptions, as_json: bool) -> anyhow::Result<()> {
    let config = settings::load_worker(options)?;
    schedulers::check(&config)?;
    settings::init_logs(&config)?;
    let options = cluster::worker(&config.worker)?;
    let telemetry = Telemetry::start(&config, options.name.as_str())?;
    let spinner = LoadSpinner::new();
    let planned = schedulers::plan(&config, &spinner)?;
    let transport = Transport::start()?;
    let exporter = telemetry.exporter.clone();
    let served = System::new().block_on(serve(config, options, planned, exporter, spinner, &transport, as_json));
    telemetry.shutdown();
    served
}

async fn serve(
    config: Config,
    options: NodeOptions,
    planned: Vec<Planned>,
    exporter: Exporter,
    spinner: LoadSpinner,
    transport: &Transport,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    actix_rt::spawn(upkeep(exporter.clone()));
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    spinner.start();
    let locals = schedulers::start(planned);
    let shared: Vec<_> = locals.iter().map(|local| Arc::clone(local) as Arc<dyn Scheduler>).collect();
    let probes = config.worker.http_address.map(|listen| probes(listen, &shared, exporter)).transpose()?;
    // It can be seen while its models load, and is used when they are there.
    let server = transport
        .enter(|| WorkerServer::start(options, shared.clone()))
        .with_context(|| format!("cannot listen on {}", config.worker.listen))?;
    tokio::select! {
        loaded = schedulers::all_loaded(&shared) => {
            spinner.finish();
            announce(scheme, server.listen(), &loaded?, as_json);
            let signal = signals.next().await;
            tracing::info!(signal, "finishing what runs; a second signal ends at once");
        }
        signal = signals.next() => {
            spinner.finish();
            tracing::info!(signal, "ending before the models were loaded");
        }
    }
    actix_rt::spawn(signals.end_at_next());
    stop(&locals, server, Duration::from_secs(config.worker.drain_timeout_seconds)).await;
    if let Some(probes) = probes {
        probes.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Answers whether this process lives, whether all its schedulers serve, and with what
/// metrics: `worker.http_address`.
fn probes(listen: SocketAddr, schedulers: &[Arc<dyn Scheduler>], exporter: Exporter) -> anyhow::Result<Probes> {
    let snapshots: Vec<_> = schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
    // Who is claimed, or empties for it, works as it should.
    let ready = move || {
        let works =
            |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining | SchedulerState::Claimed);
        snapshots.iter().all(|snapshot| works(snapshot.borrow().state))
    };
    Probes::start(listen, Arc::new(ready), exporter).with_context(|| format!("cannot listen on {listen}"))
}

/// Finishes what runs, then stops. What runs longer than `patience` is cut off with an
/// error after which a gateway continues it elsewhere.
async fn stop(schedulers: &[Arc<LocalScheduler>], server: WorkerServer, patience: Duration) {
    let drained = join_all(schedulers.iter().map(|scheduler| scheduler.drain()));
    if tokio::time::timeout(patience, drained).await.is_err() {
        tracing::warn!(seconds = patience.as_secs(), "requests still ran and were cut off");
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
    server.stop(LAST_WORDS).await;
}

/// Says where gateways find it.
fn announce(scheme: &str, listen: &Listen, models: &[Arc<ModelDescription>], as_json: bool) {
    let url = match listen {
        Listen::Tcp(address) => format!("{scheme}://{address}"),
        Listen::Unix(_) => listen.to_string(),
    };
    if as_json {
        let names: Vec<_> = models.iter().map(|model| model.model.as_str()).collect();
        println!("{}", json!({ "ready": true, "url": url, "models": names }));
        return;
    }
    for model in models {
        let ModelDescription { model, engine, device, weight_format, .. } = &**model;
        println!("serving {model} ({weight_format}) by {} on {device}", engine.as_str());
    }
    println!("listening for gateways on {url}");
}
