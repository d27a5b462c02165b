//! Loads the configuration of a command: defaults, file, environment, command line.

use hostler_config::{Config, Layer};

use crate::cli::{
    AddressOption, ConfigFile, GatewayOptions, LogOptions, SchedulerOptions, ServeOptions, WorkerOptions,
};

/// The configuration of `hostler serve`.
pub(crate) fn load(options: &ServeOptions) -> anyhow::Result<Config> {
    let ServeOptions { file, schedulers, address, log } = options;
    let command_line = [scheduler_layers(schedulers), address_layers(address), log_layers(log)];
    Ok(hostler_config::load(&layers(file, command_line.concat())?, &schedulers.model)?)
}

/// The configuration of `hostler gateway`.
pub(crate) fn load_gateway(options: &GatewayOptions) -> anyhow::Result<Config> {
    let GatewayOptions { file, worker, address, log } = options;
    let mut command_line = [address_layers(address), log_layers(log)].concat();
    if !worker.is_empty() {
        command_line.push(Layer::value("--worker", "cluster.workers", worker.clone()));
    }
    Ok(hostler_config::load(&layers(file, command_line)?, &[])?)
}

/// The configuration of `hostler worker`.
pub(crate) fn load_worker(options: &WorkerOptions) -> anyhow::Result<Config> {
    let WorkerOptions { file, schedulers, listen, name, log, child: _ } = options;
    let mut command_line = [scheduler_layers(schedulers), log_layers(log)].concat();
    command_line.extend(text("--listen", "worker.listen", listen.clone()));
    command_line.extend(text("--name", "worker.name", name.clone()));
    Ok(hostler_config::load(&layers(file, command_line)?, &schedulers.model)?)
}

/// The configuration that a parent process sends its child. The environment is not read:
/// the parent has applied it already.
pub(crate) fn load_child(toml: &str) -> anyhow::Result<Config> {
    Ok(hostler_config::load(&[Layer::text("the parent process", toml)?], &[])?)
}

fn layers(file: &ConfigFile, command_line: Vec<Layer>) -> anyhow::Result<Vec<Layer>> {
    let mut layers = Vec::new();
    if let Some(path) = &file.config {
        layers.push(Layer::file(path)?);
    }
    // Variables that are not Unicode are not configuration.
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
    let number = |option: &str, key: &str, value: Option<u32>| value.map(|value| Layer::value(option, key, value));
    [
        text("--engine", "scheduler.engine", options.engine.clone()),
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
    let format = text("--log-format", "log.format", options.log_format.clone());
    format.into_iter().chain(text("--log-filter", "log.filter", options.log_filter.clone())).collect()
}
