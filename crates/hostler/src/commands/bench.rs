//! `hostler bench run|ladder|compare|report`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use hostler_benchmark::cli::{self, Exit, LadderArgs};
use serde_json::Value;

use crate::COMMIT;
use crate::cli::{BenchCommand, EngineName, LadderOptions, LogFormatName, SchedulerOptions, ServeOptions};

pub(crate) fn run(command: BenchCommand, as_json: bool) -> anyhow::Result<ExitCode> {
    // One thread: a generator that needs more would take the server's processors.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = match command {
        BenchCommand::Other(command) => runtime.block_on(cli::run(command, as_json, COMMIT)),
        BenchCommand::Ladder(options) => {
            let LadderOptions { ladder, serve } = *options;
            match ladder.url.clone() {
                Some(url) => {
                    let model = serve.schedulers.model.first().map(String::as_str);
                    runtime.block_on(cli::ladder(ladder, &url, model, as_json))
                }
                None => of_our_own(&runtime, ladder, &serve, as_json)?,
            }
        }
    };
    Ok(exit.into())
}

/// A ladder of a Hostler that is started for it, and nobody else's.
fn of_our_own(
    runtime: &tokio::runtime::Runtime,
    mut ladder: LadderArgs,
    options: &ServeOptions,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let server = Server::start(options)?;
    // There are no clients that could wait.
    ladder.terms.min_serving = ladder.terms.min_serving.or(Some(0));
    let url = server.url.clone();
    Ok(runtime.block_on(cli::ladder(ladder, &url, None, as_json)))
}

/// A Hostler in a process of its own, on a free port. Dropping it ends it.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts it, and waits until its models are loaded.
    fn start(options: &ServeOptions) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["--json", "serve"]).args(arguments(options)).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a server")?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut server = Self { process, url: String::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("the server says nothing")?;
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(url) = ready["url"].as_str() else { bail!("the server did not start: see above") };
        url.clone_into(&mut server.url);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The options of `serve`, as they are written.
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
    let engine_name = |engine| match engine {
        EngineName::Mistralrs => "mistralrs",
        EngineName::Llamacpp => "llamacpp",
        EngineName::Simulated => "simulated",
    };
    add("--engine", engine.map(|engine| engine_name(engine).to_owned()));
    add("--device", device.clone());
    add("--replicas", replicas.map(|count| count.to_string()));
    add("--max-batch-size", max_batch_size.map(|size| size.to_string()));
    add("--max-context-length", max_context_length.map(|length| length.to_string()));
    let format_name = |format| match format {
        LogFormatName::Text => "text",
        LogFormatName::Json => "json",
    };
    add("--log-format", log.log_format.map(|format| format_name(format).to_owned()));
    all
}
