//! `hostler serve`: everything in one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::{Arbiter, System};
use anyhow::{Context, bail};
use hostler_benchmark::service::{Benchmarks, Loopback};
use hostler_config::Config;
use hostler_gateway::{ApiKey, Gateway, GatewayConfig};
use hostler_protocol::ModelDescription;
use hostler_router::Router;
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use hostler_telemetry::Exporter;
use serde_json::json;

use crate::cli::ServeOptions;
use crate::facts::ServerFacts;
use crate::progress::{LoadSpinner, Shown};
use crate::signals::Signals;
use crate::{engines, models, settings};

/// How often recorded samples are folded, so that they take no memory while nobody
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

pub(crate) fn run(options: &ServeOptions, as_json: bool) -> anyhow::Result<()> {
    let config = settings::load(options)?;
    for scheduler in &config.schedulers {
        engines::check(scheduler.settings.engine)?;
    }
    settings::init_logs(&config)?;
    // Handles that are taken before this record nothing.
    let exporter = Exporter::install()?;

    let spinner = LoadSpinner::new();
    let planned = plan(&config, &spinner)?;
    System::new().block_on(serve(config, planned, exporter, spinner, as_json))
}

/// A scheduler that is to be started, and the model that it loads.
type Planned = (SchedulerConfig, Arc<Shown>, PathBuf);

/// Bytes of the key by which the server asks itself: what nobody guesses.
const LOOPBACK_KEY_BYTES: usize = 32;

/// Fetches what is missing, and settles who will run what.
fn plan(config: &Config, spinner: &LoadSpinner) -> anyhow::Result<Vec<Planned>> {
    let mut planned = Vec::with_capacity(config.schedulers.len());
    for scheduler in &config.schedulers {
        let model = models::prepare(config, scheduler)?;
        let inner = engines::factory(scheduler, &model)?;
        let shown = Shown { name: model.name.to_string(), inner, spinner: spinner.clone() };
        planned.push((settings::scheduler(scheduler, model.name), Arc::new(shown), model.path));
    }
    Ok(planned)
}

async fn serve(
    config: Config,
    planned: Vec<Planned>,
    exporter: Exporter,
    spinner: LoadSpinner,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let arbiter = Arbiter::new();
    let router = Router::start(settings::router(&config), &arbiter.handle());
    actix_rt::spawn(upkeep(exporter.clone()));
    let facts = ServerFacts::new(&config, planned.iter().map(|(_, _, path)| path.clone()));
    let benchmarks = Benchmarks::start(settings::benchmarks(&config), router.clone(), Arc::new(facts))
        .context("cannot keep results of benchmarks: see benchmarks.store")?;

    // HTTP comes first: probes must be answered while models load.
    let listen = config.server.address;
    let mut gateway_config = settings::gateway(&config);
    let api_key = loopback_key(&mut gateway_config);
    let gateway = Gateway::start(gateway_config, router.clone(), benchmarks.clone(), exporter)
        .with_context(|| format!("cannot listen on {listen}"))?;
    benchmarks.set_loopback(Loopback { url: format!("http://{}", reachable(gateway.address())), api_key });
    spinner.start();
    let mut schedulers = Vec::with_capacity(planned.len());
    for (config, factory, _) in planned {
        let scheduler = LocalScheduler::start(config, factory);
        router.add(Arc::<LocalScheduler>::clone(&scheduler)).await?;
        schedulers.push(scheduler);
    }

    tokio::select! {
        loaded = all_loaded(&schedulers) => {
            spinner.finish();
            announce(&config, gateway.address(), &loaded?, as_json);
            let signal = signals.next().await;
            tracing::info!(signal, "finishing what runs; a second signal ends at once");
        }
        signal = signals.next() => {
            spinner.finish();
            tracing::info!(signal, "ending before the models were loaded");
        }
    }
    actix_rt::spawn(signals.end_at_next());
    // First of all, so that claimed schedulers serve while the rest is finished.
    benchmarks.stop().await;
    let drained = gateway.stop().await;
    for scheduler in &schedulers {
        scheduler.stop().await;
    }
    arbiter.stop();
    if !drained {
        bail!("requests still ran after {} s and were cut off", config.server.drain_timeout_seconds);
    }
    tracing::info!("stopped");
    Ok(())
}

/// A key of this process's own, by which a benchmark asks the server that it is in, where
/// the server asks for keys at all.
fn loopback_key(gateway: &mut GatewayConfig) -> Option<String> {
    if gateway.api_keys.is_empty() {
        return None;
    }
    let secret: [u8; LOOPBACK_KEY_BYTES] = rand::random();
    let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    gateway.api_keys.push(ApiKey { name: "benchmark".to_owned(), key: key.clone(), admin: true });
    Some(key)
}

async fn upkeep(exporter: Exporter) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        interval.tick().await;
        exporter.upkeep();
    }
}

/// Waits until every scheduler serves. One whose engine does not load at the start
/// will not later: files and devices are as they are.
async fn all_loaded(schedulers: &[Arc<LocalScheduler>]) -> anyhow::Result<Vec<Arc<ModelDescription>>> {
    let mut descriptions = Vec::with_capacity(schedulers.len());
    for scheduler in schedulers {
        let mut snapshot = scheduler.snapshot();
        let settled = snapshot.wait_for(|now| now.state == SchedulerState::Serving || now.failure.is_some()).await?;
        match (&settled.description, &settled.failure) {
            (Some(description), _) => descriptions.push(Arc::clone(description)),
            (None, failure) => bail!("{}: {}", scheduler.id(), failure.as_deref().unwrap_or("its engine failed")),
        }
    }
    Ok(descriptions)
}

/// Says where to go, and what to try.
fn announce(config: &Config, bound: SocketAddr, models: &[Arc<ModelDescription>], as_json: bool) {
    let url = format!("http://{}", reachable(bound));
    if as_json {
        let names: Vec<_> = models.iter().map(|model| model.model.as_str()).collect();
        println!("{}", json!({ "ready": true, "url": url, "models": names }));
        return;
    }
    for model in models {
        let ModelDescription { model, engine, device, weight_format, .. } = &**model;
        println!("serving {model} ({weight_format}) by {} on {device}", engine.as_str());
    }
    let Some(model) = models.first() else { return };
    let key = if config.server.api_keys.is_empty() { "" } else { " -H \"Authorization: Bearer $KEY\"" };
    println!("listening on {url}; try:\n");
    println!("  curl {url}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{{");
    println!("    \"model\": \"{}\", \"max_tokens\": 64,", model.model);
    println!("    \"messages\": [{{\"role\": \"user\", \"content\": \"What is the capital of France?\"}}]}}'\n");
}

/// The address that a client on this machine would use.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    SocketAddr::new(ip, bound.port())
}
