//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::failure::Usage;
use crate::version::VERSION;

mod options;
mod verify;

pub(crate) use options::{AddressOption, ConfigFile, LogOptions, SchedulerOptions};
use verify::VERIFY_EXAMPLES;
pub(crate) use verify::VerifyOptions;

/// Serves language models over an OpenAI-compatible HTTP API.
///
/// Without arguments, it serves a small demo model on 127.0.0.1:8080, and downloads the
/// model first if necessary.
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The command; `serve` by default.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: ServeOptions,

    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hostler                                          serve the demo model
  hostler serve --model ./qwen2.gguf --engine llamacpp
  hostler serve --model owner/name --device cuda:0 a model from the Hugging Face hub, on a GPU
  hostler serve --config hostler.toml              several models; see config/hostler.toml
  hostler model pull smollm2-135m-instruct         download a model
  hostler status --watch                           nodes, schedulers, load, claims

Exit codes: 0 success, 1 failure, 2 invalid arguments or configuration, 3 regression (bench compare).";

impl Cli {
    /// The command; `serve` by default.
    ///
    /// # Errors
    /// Options of `serve` precede another command, which would ignore them.
    pub(crate) fn into_command(self) -> Result<Command, Usage> {
        let Some(command) = self.command else { return Ok(Command::Serve(self.serve)) };
        // --config is accepted in any position, and from the environment.
        if (ServeOptions { file: ConfigFile::default(), ..self.serve }) != ServeOptions::default() {
            return Err(Usage("put the options of a command after its name: hostler serve --model …".to_owned()));
        }
        Ok(command)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve models: HTTP server, router and schedulers in one process
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeOptions),
    /// Serve HTTP for models that run on workers, on this machine or others
    #[command(after_help = GATEWAY_EXAMPLES)]
    Gateway(GatewayOptions),
    /// Run models for gateways
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(WorkerOptions),
    /// Benchmark servers, and compare results
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// List, download and locate models
    Model {
        #[command(subcommand)]
        command: ModelCommand,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Show the nodes, schedulers, load and claims of a running Hostler
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusOptions),
    /// Check that engines keep their contract with a model on this machine's devices
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Box<VerifyOptions>),
    /// Check or show the configuration, or print its JSON Schema
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// The commands of `hostler bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure the cost of each layer of a Hostler, from the engine to HTTP
    Ladder(Box<LadderOptions>),
    #[command(flatten)]
    Other(crate::commands::bench::BenchCommand),
}

/// `hostler bench ladder`. Without --url, it starts a Hostler with these options of
/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct LadderOptions {
    #[command(flatten)]
    pub(crate) ladder: crate::commands::bench::LadderArgs,
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  hostler serve                                       the demo model
  hostler serve --model a.gguf --model b.gguf         two models, one scheduler each
  hostler serve --engine llamacpp --device cpu:0-3    on four cores
  hostler serve --engine simulated --model anything   no model: generated text, for tests
  HOSTLER_SCHEDULER__MAX_BATCH_SIZE=16 hostler serve  any key of the configuration

Ctrl-C completes the running requests and exits; a second one exits immediately (exit code 130).";

const GATEWAY_EXAMPLES: &str = "\
Examples:
  hostler gateway --config gateway.toml
  hostler gateway --worker http://10.0.0.2:7070 --worker http://10.0.0.3:7070";

const WORKER_EXAMPLES: &str = "\
Examples:
  hostler worker --config worker.toml
  hostler worker --model a.gguf --engine llamacpp --listen 10.0.0.2:7070

SIGTERM completes the running requests and exits; a second signal exits immediately (exit code 130).";

const BENCH_EXAMPLES: &str = "\
Examples:
  hostler bench run --url http://127.0.0.1:8080            40 requests, 8 at a time, 50 tokens each
  hostler bench run --url A --versus B --until 1%          two servers alternately, and their ratio
  hostler bench run --url A --shape sweep --concurrency 64 find the saturation point
  hostler bench run --url A --shape poisson --rate 4 --prompt-tokens 10-200 --max-tokens 10-100
  hostler bench run --url A --claim --min-serving 0        in the server, on one claimed scheduler
  hostler bench ladder --engine llamacpp                   the cost of each layer
  hostler bench compare old.json new.json                  exit code 3 on a regression
  hostler bench report new.json --format html -o new.html  one page with plots";

const STATUS_EXAMPLES: &str = "\
Examples:
  hostler status                                  the server on this machine
  hostler status --url http://10.0.0.1:8080 --watch
  hostler status --json | jq '.nodes[] | select(.state != \"connected\")'";

/// `hostler status`.
#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// URL of a gateway or of `hostler serve`: http://HOST:PORT
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// API key of an admin
    #[arg(long, value_name = "KEY", env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,

    /// Refresh the output until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// Refresh interval, 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, requires = "watch", value_parser = interval)]
    pub(crate) interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "0.1 to 3600 are allowed".to_owned())
}

/// Options of `serve`, which override the configuration.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    #[command(flatten)]
    pub(crate) schedulers: SchedulerOptions,

    #[command(flatten)]
    pub(crate) address: AddressOption,

    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// Options of `gateway`, which override the configuration.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct GatewayOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Worker to use: http://HOST:PORT, https://HOST:PORT or unix:/PATH. Can be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) worker: Vec<String>,

    #[command(flatten)]
    pub(crate) address: AddressOption,

    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// Options of `worker`, which override the configuration.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct WorkerOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    #[command(flatten)]
    pub(crate) schedulers: SchedulerOptions,

    /// Address for gateways: IP:PORT (port 0 takes a free one) or unix:/PATH
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,

    /// Name of the worker, unique in the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) log: LogOptions,

    /// Read the configuration from standard input, and exit when it closes. A process starts
    /// its child workers this way, as parts of its node
    #[arg(long, hide = true, value_name = "NODE",
          conflicts_with_all = ["config", "model", "engine", "device", "listen", "name"])]
    pub(crate) child: Option<String>,
}

/// The commands of `hostler model`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Show the catalogue and the pulled models
    List,
    /// Download a model; if it is already in the store, verify its checksums
    Pull {
        /// A catalogue name, or a hub id: owner/name, owner/name@revision, owner/name:file.gguf
        id: String,
    },
    /// Print the path of a pulled model
    Path {
        /// The name by which it was pulled
        id: String,
    },
}

/// The commands of `hostler config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration, and print its errors
    Check(ServeOptions),
    /// Print the configuration in effect
    Show(ServeOptions),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let command = Cli::parse_from(["hostler", "--engine", "llamacpp"]).into_command();
        assert!(
            matches!(command, Ok(Command::Serve(options)) if options.schedulers.engine.as_deref() == Some("llamacpp"))
        );
    }

    #[test]
    fn options_before_a_command_are_refused() {
        assert!(Cli::parse_from(["hostler", "--engine", "llamacpp", "serve"]).into_command().is_err());
        assert!(Cli::parse_from(["hostler", "--json", "--config", "f", "serve"]).into_command().is_ok());
    }
}
