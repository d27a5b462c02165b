//! `hostler worker`: schedulers, for gateways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use anyhow::Context;
use futures::future::{join_all, select_all};
use hostler_cluster::membership::{Etcd, Role};
use hostler_cluster::{WorkerOptions as NodeOptions, WorkerServer};
use hostler_config::Config;
use hostler_gateway::Probes;
use hostler_protocol::ModelDescription;
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use hostler_telemetry::Exporter;
use serde_json::json;

use crate::cli::WorkerOptions;
use crate::cluster::{self, Transport};
use crate::configuration;
use crate::gpu;
use crate::leash::{self, Leash};
use crate::models::served_line;
use crate::preflight;
use crate::progress::LoadSpinner;
use crate::registration::{self, Registration};
use crate::replicas;
use crate::schedulers::{self, Planned, Running};
use crate::signals::Signals;
use crate::telemetry::{Telemetry, init_logs, upkeep};

/// How long calls may take to send the final events of their streams after every scheduler has
/// stopped.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &WorkerOptions, as_json: bool) -> anyhow::Result<()> {
    // A child is bound to its cores before it starts threads.
    let (config, leash) = if options.child.is_some() {
        let (config, leash) = leash::take()?;
        (config, Some(leash))
    } else {
        (replicas::expand(configuration::load_worker(options)?)?, None)
    };
    config.worker.check_exposure()?;
    preflight::check(&config)?;
    init_logs(&config.log)?;
    let node = options.child.as_deref();
    let mut options = cluster::worker(&config.worker)?;
    let telemetry = Telemetry::start(&config, node.unwrap_or(options.name.as_str()))?;
    options.metrics = Some(telemetry.exporter.clone());
    let spinner = LoadSpinner::new();
    let planned = schedulers::plan(&config, &spinner)?;
    let transport = Transport::start()?;
    let exporter = telemetry.exporter.clone();
    // A child serves its parent only, and does not register.
    let etcd = if leash.is_none() { cluster::etcd(&config.cluster.etcd, Role::Worker)? } else { None };
    let worker = Worker { config, options, planned, exporter, etcd, leash };
    let served = System::new().block_on(serve(worker, spinner, &transport, as_json));
    telemetry.shutdown();
    served
}

/// The parts of a worker.
struct Worker {
    config: Config,
    options: NodeOptions,
    planned: Vec<Planned>,
    exporter: Exporter,
    /// Where it registers.
    etcd: Option<Etcd>,
    /// For a child: the connection to its parent.
    leash: Option<Leash>,
}

async fn serve(worker: Worker, spinner: LoadSpinner, transport: &Transport, as_json: bool) -> anyhow::Result<()> {
    let Worker { config, options, planned, exporter, etcd, leash } = worker;
    let name = options.name.clone();
    let is_child = leash.is_some();
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    actix_rt::spawn(upkeep(exporter.clone()));
    actix_rt::spawn(gpu::record_metrics(schedulers::gpus(&config, &planned)));
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    spinner.start();
    let running = schedulers::start(&config, planned, transport, &exporter)?;
    let probes = config.worker.http_address.map(|listen| probes(listen, &running.all, exporter)).transpose()?;
    // Gateways can connect while its models load, and use it once they are loaded.
    let server = transport
        .enter(|| WorkerServer::start(options, running.all.clone()))
        .with_context(|| format!("cannot listen on {}", config.worker.listen))?;
    let mut exit = Box::pin(exit_requested(&mut signals, leash));
    let mut registration = None;
    let mut served = Ok(());
    tokio::select! {
        // A child continues to retry a failed load; its parent sees the failure.
        loaded = schedulers::all_loaded(&running.all), if !is_child => {
            spinner.finish();
            let loaded = loaded?;
            let endpoint = registration::endpoint(&config.worker, scheme, server.listen());
            if let Some(etcd) = etcd {
                if config.worker.advertise.is_none() && registration::is_local(server.listen()) {
                    tracing::warn!(endpoint, "only gateways on this machine can reach this endpoint: see worker.advertise");
                }
                match Registration::join(etcd, name, endpoint.clone(), &running.all).await {
                    Ok(joined) => registration = Some(joined),
                    Err(error) => served = Err(error),
                }
            }
            if served.is_ok() {
                announce(&endpoint, &loaded, as_json);
                let by = (&mut exit).await;
                tracing::info!(by, "completing running requests; a second signal exits immediately");
            }
        }
        by = &mut exit => {
            spinner.finish();
            tracing::info!(by, "exiting");
        }
        () = engine_failed(&running.all), if is_child => {
            served = Err(anyhow::anyhow!("this process ends, so that nothing of the failed engine remains"));
        }
    }
    drop(exit);
    actix_rt::spawn(signals.end_at_next());
    if let Some(registration) = &mut registration {
        registration.leave().await;
    }
    stop(running, server, config.worker.drain_timeout).await;
    if let Some(registration) = registration {
        registration.end().await;
    }
    if let Some(probes) = probes {
        probes.stop().await;
    }
    tracing::info!("stopped");
    served
}

/// Waits until an engine fails that has served.
async fn engine_failed(schedulers: &[Arc<dyn Scheduler>]) {
    let failures = schedulers.iter().map(|scheduler| {
        let mut snapshot = scheduler.snapshot();
        Box::pin(async move {
            let served =
                snapshot.wait_for(|snapshot| snapshot.description.is_some()).await.map(|served| served.restarts);
            // An error means that the scheduler has stopped, as another branch of this process knows.
            let Ok(before) = served else { return std::future::pending().await };
            let failed =
                |snapshot: &SchedulerSnapshot| snapshot.state == SchedulerState::Failed || snapshot.restarts > before;
            if snapshot.wait_for(failed).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    select_all(failures).await;
}

/// Waits until a signal or the parent tells this process to exit; returns which.
async fn exit_requested(signals: &mut Signals, leash: Option<Leash>) -> &'static str {
    let Some(leash) = leash else { return signals.next().await };
    tokio::select! {
        signal = signals.next() => signal,
        // The sender is dropped only when this process exits.
        _ = leash => "the parent process",
    }
}

/// Starts the probes and metrics on `worker.http_address`. The worker is ready while one of its
/// schedulers serves.
fn probes(listen: SocketAddr, schedulers: &[Arc<dyn Scheduler>], exporter: Exporter) -> anyhow::Result<Probes> {
    let snapshots: Vec<_> = schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
    // A scheduler that is claimed, or drains for a claim, is healthy.
    let ready = move || {
        let works =
            |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining | SchedulerState::Claimed);
        snapshots.iter().any(|snapshot| works(snapshot.borrow().state))
    };
    Probes::start(listen, Arc::new(ready), exporter).with_context(|| format!("cannot listen on {listen}"))
}

/// Completes the running requests, then stops. Requests that run longer than `drain_timeout`
/// end with an error, after which a gateway continues them elsewhere.
async fn stop(running: Running, server: WorkerServer, drain_timeout: Duration) {
    let drained = join_all(running.all.iter().map(|scheduler| scheduler.drain()));
    if tokio::time::timeout(drain_timeout, drained).await.is_err() {
        tracing::warn!(seconds = drain_timeout.as_secs(), "requests still ran and were cancelled");
    }
    running.stop().await;
    server.stop(FLUSH_TIMEOUT).await;
}

/// Prints the URL for gateways.
fn announce(url: &str, models: &[Arc<ModelDescription>], as_json: bool) {
    if as_json {
        let names: Vec<_> = models.iter().map(|model| model.model.as_str()).collect();
        println!("{}", json!({ "ready": true, "url": url, "models": names }));
        return;
    }
    for model in models {
        println!("{}", served_line(model));
    }
    println!("listening for gateways on {url}");
}
