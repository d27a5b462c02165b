//! A server process for a ladder.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::{SchedulerOptions, ServeOptions};

/// A `hostler serve` process on a free port. Dropping it stops the process.
pub(super) struct Server {
    process: Child,
    /// Its base URL.
    pub(super) url: String,
}

impl Server {
    /// Starts the process and waits until its models are loaded.
    pub(super) fn start(options: &ServeOptions) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["--json", "serve"]).args(arguments(options)).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a server")?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut server = Self { process, url: String::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("cannot read the output of the server")?;
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(url) = ready["url"].as_str() else { bail!("the server did not start; see its messages above") };
        url.clone_into(&mut server.url);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The options of `serve` as command-line arguments.
fn arguments(options: &ServeOptions) -> Vec<String> {
    let ServeOptions { file, schedulers, address, log } = options;
    let SchedulerOptions { model, engine, device, replicas, max_batch_size, max_context_length } = schedulers;
    let mut all = vec![
        format!("--address={}", address.address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string())),
        format!("--log-filter={}", log.log_filter.as_deref().unwrap_or("warn")),
    ];
    let mut add = |name: &str, value: Option<String>| all.extend(value.map(|value| format!("{name}={value}")));
    add("--config", file.config.as_ref().map(|path| path.display().to_string()));
    model.iter().for_each(|model| add("--model", Some(model.clone())));
    add("--engine", engine.clone());
    add("--device", device.clone());
    add("--replicas", replicas.map(|count| count.to_string()));
    add("--max-batch-size", max_batch_size.map(|size| size.to_string()));
    add("--max-context-length", max_context_length.map(|length| length.to_string()));
    add("--log-format", log.log_format.clone());
    all
}
