//! `hostler serve`: everything in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_rt::{Arbiter, System};
use anyhow::{Context, bail};
use hostler_config::Config;
use hostler_protocol::ModelDescription;
use hostler_router::Router;
use hostler_telemetry::Exporter;
use serde_json::json;

use crate::cli::ServeOptions;
use crate::cluster::Transport;
use crate::configuration;
use crate::facts::ServerFacts;
use crate::gpu;
use crate::http::{Http, reachable};
use crate::models::served_line;
use crate::preflight;
use crate::progress::LoadSpinner;
use crate::replicas;
use crate::schedulers::{self, Planned};
use crate::signals::Signals;
use crate::telemetry::{Telemetry, init_logs, machine_name, upkeep};
use crate::view::OneMachine;
use crate::wire::OwnWire;

pub(crate) fn run(options: &ServeOptions, as_json: bool) -> anyhow::Result<()> {
    let config = replicas::expand(configuration::load(options)?)?;
    config.server.check_exposure()?;
    preflight::check(&config)?;
    init_logs(&config.log)?;
    // Metric handles that are created before this record nothing.
    let telemetry = Telemetry::start(&config, &machine_name())?;

    let spinner = LoadSpinner::new();
    let planned = schedulers::plan(&config, &spinner)?;
    let transport = Transport::start()?;
    let exporter = telemetry.exporter.clone();
    let served = System::new().block_on(serve(config, planned, &transport, exporter, spinner, as_json));
    telemetry.shutdown();
    served
}

async fn serve(
    config: Config,
    planned: Vec<Planned>,
    transport: &Transport,
    exporter: Exporter,
    spinner: LoadSpinner,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let arbiter = Arbiter::new();
    let router = Router::start(config.router.clone(), &arbiter.handle());
    actix_rt::spawn(upkeep(exporter.clone()));
    actix_rt::spawn(gpu::record_metrics(schedulers::gpus(&config, &planned)));
    let facts = ServerFacts::new(&config, planned.iter().map(|planned| planned.model.clone()));
    // HTTP starts first: it answers probes while models load.
    let view = Arc::new(OneMachine::default());
    let http = Http::start(&config, &router, Arc::new(facts), Arc::clone(&view) as _, exporter.clone())?;
    http.set_loopback_grpc(OwnWire::new(transport));
    spinner.start();
    let running = schedulers::start(&config, planned, transport, &exporter)?;
    view.show(&running);
    for scheduler in &running.all {
        router.add(Arc::clone(scheduler)).await?;
    }

    tokio::select! {
        loaded = schedulers::all_loaded(&running.all) => {
            spinner.finish();
            announce(&config, http.address(), &loaded?, as_json);
            let signal = signals.next().await;
            tracing::info!(signal, "completing running requests; a second signal exits immediately");
        }
        signal = signals.next() => {
            spinner.finish();
            tracing::info!(signal, "exiting before the models were loaded");
        }
    }
    actix_rt::spawn(signals.end_at_next());
    let drained = http.stop().await;
    running.stop().await;
    arbiter.stop();
    if !drained {
        bail!("requests still ran after {} s and were cancelled", config.server.drain_timeout.as_secs());
    }
    tracing::info!("stopped");
    Ok(())
}

/// Prints the URL and an example request.
fn announce(config: &Config, bound: SocketAddr, models: &[Arc<ModelDescription>], as_json: bool) {
    let url = format!("{}://{}", config.server.scheme(), reachable(bound));
    if as_json {
        let names: Vec<_> = models.iter().map(|model| model.model.as_str()).collect();
        println!("{}", json!({ "ready": true, "url": url, "models": names }));
        return;
    }
    for model in models {
        println!("{}", served_line(model));
    }
    let Some(model) = models.first() else { return };
    let key = if config.server.is_open() { "" } else { " -H \"Authorization: Bearer $KEY\"" };
    println!("listening on {url}; try:\n");
    println!("  curl {url}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{{");
    println!("    \"model\": \"{}\", \"max_tokens\": 64,", model.model);
    println!("    \"messages\": [{{\"role\": \"user\", \"content\": \"What is the capital of France?\"}}]}}'\n");
}
