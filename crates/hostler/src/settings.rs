//! From the configuration to the settings of each part.

use std::time::Duration;

use hostler_benchmark::BenchmarksConfig;
use hostler_config::{Config, Layer, LogFormat, NamedScheduler, RoutingPolicy};
use hostler_gateway::{ApiKey, GatewayConfig};
use hostler_models::Store;
use hostler_protocol::ModelId;
use hostler_router::{BreakerConfig, BudgetConfig, MigrationConfig, Policy, RouterConfig};
use hostler_scheduler::SchedulerConfig;
use hostler_scheduler::config::{BatchingConfig, PassedOverMax, QueueConfig, RecoveryConfig};

use crate::cli::{
    AddressOption, ConfigFile, EngineName, GatewayOptions, LogFormatName, LogOptions, SchedulerOptions, ServeOptions,
    WorkerOptions,
};

/// Loads the configuration of `serve`: defaults, file, environment, command line.
pub(crate) fn load(options: &ServeOptions) -> anyhow::Result<Config> {
    let ServeOptions { file, schedulers, address, log } = options;
    let command_line = [scheduler_layers(schedulers), address_layers(address), log_layers(log)];
    Ok(hostler_config::load(&layers(file, command_line.concat())?, &schedulers.model)?)
}

/// The same for `gateway`.
pub(crate) fn load_gateway(options: &GatewayOptions) -> anyhow::Result<Config> {
    let GatewayOptions { file, worker, address, log } = options;
    let mut command_line = [address_layers(address), log_layers(log)].concat();
    if !worker.is_empty() {
        command_line.push(Layer::value("--worker", "cluster.workers", worker.clone()));
    }
    Ok(hostler_config::load(&layers(file, command_line)?, &[])?)
}

/// The same for `worker`.
pub(crate) fn load_worker(options: &WorkerOptions) -> anyhow::Result<Config> {
    let WorkerOptions { file, schedulers, listen, name, log, child: _ } = options;
    let mut command_line = [scheduler_layers(schedulers), log_layers(log)].concat();
    command_line.extend(text("--listen", "worker.listen", listen.clone()));
    command_line.extend(text("--name", "worker.name", name.clone()));
    Ok(hostler_config::load(&layers(file, command_line)?, &schedulers.model)?)
}

/// What a process told its child, and nothing else: the environment was the parent's.
pub(crate) fn load_child(toml: &str) -> anyhow::Result<Config> {
    Ok(hostler_config::load(&[Layer::text("the parent process", toml)?], &[])?)
}

fn layers(file: &ConfigFile, command_line: Vec<Layer>) -> anyhow::Result<Vec<Layer>> {
    let mut layers = Vec::new();
    if let Some(path) = &file.config {
        layers.push(Layer::file(path)?);
    }
    // A variable that is no text cannot be one of ours.
    layers.extend(Layer::environment(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    ));
    layers.extend(command_line);
    Ok(layers)
}

fn text(option: &str, key: &str, value: Option<String>) -> Option<Layer> {
    value.map(|value| Layer::value(option, key, value))
}

fn scheduler_layers(options: &SchedulerOptions) -> Vec<Layer> {
    let engine = options.engine.map(|engine| match engine {
        EngineName::Mistralrs => "mistralrs",
        EngineName::Llamacpp => "llamacpp",
        EngineName::Simulated => "simulated",
    });
    let number = |option: &str, key: &str, value: Option<u32>| value.map(|value| Layer::value(option, key, value));
    [
        text("--engine", "scheduler.engine", engine.map(str::to_owned)),
        text("--device", "scheduler.device", options.device.clone()),
        number("--replicas", "scheduler.replicas", options.replicas),
        number("--max-batch-size", "scheduler.max_batch_size", options.max_batch_size),
        number("--max-context-length", "scheduler.max_context_length", options.max_context_length),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn address_layers(option: &AddressOption) -> Vec<Layer> {
    text("--address", "server.address", option.address.map(|address| address.to_string())).into_iter().collect()
}

fn log_layers(options: &LogOptions) -> Vec<Layer> {
    let format = options.log_format.map(|format| match format {
        LogFormatName::Text => "text",
        LogFormatName::Json => "json",
    });
    let format = text("--log-format", "log.format", format.map(str::to_owned));
    format.into_iter().chain(text("--log-filter", "log.filter", options.log_filter.clone())).collect()
}

/// Sends logs where the configuration says.
pub(crate) fn init_logs(config: &Config) -> anyhow::Result<()> {
    let format = match config.log.format {
        LogFormat::Text => hostler_telemetry::LogFormat::Text,
        LogFormat::Json => hostler_telemetry::LogFormat::Json,
    };
    let filter = format!("{CHATTY},{}", config.log.filter);
    hostler_telemetry::init_logs(format, &filter).map_err(|message| anyhow::anyhow!(crate::failure::Usage(message)))
}

/// Libraries that tell at length, or warn of, what is meant to be so. A directive of the
/// user's for the same target comes later, and wins.
const CHATTY: &str =
    "mistralrs_core=error,mistralrs_quant=error,llama_cpp_2=error,llama-cpp-2=error,tokenizers=error,actix_server=warn";

pub(crate) fn gateway(config: &Config) -> GatewayConfig {
    let server = &config.server;
    let api_keys = server.api_keys.iter().map(|(name, client)| ApiKey {
        name: name.clone(),
        key: client.key.reveal().to_owned(),
        admin: client.admin,
    });
    GatewayConfig {
        listen: server.address,
        workers: server.http_threads as usize,
        connections_max: server.connections_max as usize,
        body_bytes_max: server.body_bytes_max as usize,
        keep_alive: Duration::from_secs(server.keep_alive_seconds),
        head_timeout: Duration::from_secs(server.head_timeout_seconds),
        body_timeout: Duration::from_secs(server.body_timeout_seconds),
        request_timeout: Duration::from_secs(server.request_timeout_seconds),
        stalled_client_timeout: Duration::from_secs(server.stalled_client_timeout_seconds),
        unready: Duration::from_secs(server.unready_seconds),
        drain_timeout: Duration::from_secs(server.drain_timeout_seconds),
        api_keys: api_keys.collect(),
    }
}

pub(crate) fn router(config: &Config) -> RouterConfig {
    let router = &config.router;
    RouterConfig {
        policy: match router.policy {
            RoutingPolicy::LeastLoaded => Policy::LeastLoaded,
            RoutingPolicy::RoundRobin => Policy::RoundRobin,
            RoutingPolicy::Random => Policy::Random,
            RoutingPolicy::PowerOfTwo => Policy::PowerOfTwo,
            RoutingPolicy::PrefixAware => Policy::PrefixAware,
            RoutingPolicy::Session => Policy::Session,
        },
        requests_max: router.requests_max as usize,
        attempts_max: router.attempts_max,
        retry_budget: BudgetConfig {
            share_percent: router.retry_share_percent,
            floor_per_second: router.retries_per_second,
        },
        migration: MigrationConfig { moves_max: router.moves_max, wait: Duration::from_secs(router.move_wait_seconds) },
        breaker: BreakerConfig {
            failures: router.breaker_failures,
            open: Duration::from_secs(router.breaker_open_seconds),
        },
        slow_start: Duration::from_secs(router.slow_start_seconds),
        wait_max: Duration::from_secs(router.wait_seconds_max),
    }
}

pub(crate) fn benchmarks(config: &Config) -> BenchmarksConfig {
    let settings = &config.benchmarks;
    // Beside the user's models, wherever the configuration may have put those.
    let of_user = || Some(Store::of_user()?.root().parent()?.join("benchmarks"));
    BenchmarksConfig {
        folder: settings.store.clone().or_else(of_user),
        queue_max: settings.queue_max as usize,
        kept_max: settings.kept_max as usize,
        time_max: Duration::from_secs(settings.seconds_max),
        commit: crate::COMMIT.map(str::to_owned),
    }
}

pub(crate) fn scheduler(scheduler: &NamedScheduler, model: ModelId) -> SchedulerConfig {
    let settings = &scheduler.settings;
    let (queue, batching, recovery) = (&settings.queue, &settings.batching, &settings.recovery);
    SchedulerConfig {
        id: scheduler.name.as_str().into(),
        model,
        max_batch_size: settings.max_batch_size,
        queue: QueueConfig {
            requests_max: queue.requests_max,
            tokens_max: queue.tokens_max,
            wait_max: Duration::from_secs(queue.wait_seconds_max),
            passed_over_max: PassedOverMax {
                default: queue.default_passed_over_max,
                batch: queue.batch_passed_over_max,
            },
        },
        batching: BatchingConfig {
            cohort_spread_tokens: batching.cohort_spread_tokens,
            cohort_wait: Duration::from_millis(batching.cohort_wait_ms_max),
            long_prompt_tokens: batching.long_prompt_tokens,
            long_prompt_wait: Duration::from_millis(batching.long_prompt_wait_ms_max),
        },
        recovery: RecoveryConfig {
            watchdog: Duration::from_secs(recovery.watchdog_seconds),
            restarts_max: recovery.restarts_max,
            restart_window: Duration::from_secs(recovery.restart_window_seconds),
            restart_backoff: Duration::from_millis(recovery.restart_backoff_ms),
            restart_backoff_max: Duration::from_millis(recovery.restart_backoff_ms_max),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts' own defaults and the configuration's are stated twice; they must
    /// not drift apart.
    #[test]
    fn defaults_are_those_of_the_parts() {
        let config = hostler_config::load(&[], &[]).expect("the defaults are valid");
        assert_eq!(router(&config), RouterConfig::default());
        let benchmarks = BenchmarksConfig { folder: None, commit: None, ..benchmarks(&config) };
        assert_eq!(benchmarks, BenchmarksConfig::default());
        let model = ModelId::new("m");
        let expected = SchedulerConfig::new(config.schedulers[0].name.as_str(), model.clone());
        assert_eq!(scheduler(&config.schedulers[0], model), expected);
        assert_eq!(format!("{:?}", gateway(&config)), format!("{:?}", GatewayConfig::default()));
        #[cfg(feature = "llamacpp")]
        assert_eq!(
            config.schedulers[0].settings.llamacpp.prefill_chunk_tokens,
            hostler_executor_llamacpp::PREFILL_CHUNK_TOKENS_DEFAULT
        );
    }
}
