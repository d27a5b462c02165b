//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};

use crate::failure::Usage;

/// Serves language models over an OpenAI-compatible HTTP API.
///
/// With nothing else, serves a small demo model on 127.0.0.1:8080, which is fetched
/// first if need be.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do; `serve` if left out.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: ServeOptions,

    /// Write results as JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  hostler                                          serve the demo model
  hostler serve --model ./qwen2.gguf --engine llamacpp
  hostler serve --model owner/name --device cuda:0 a model of the hub, on a GPU
  hostler serve --config hostler.toml              several models; see config/hostler.toml
  hostler model pull smollm2-135m-instruct         fetch a model, to serve it later
  hostler status --watch                           nodes, schedulers, load, claims

Exit codes: 0 done, 1 failed, 2 asked for something that makes no sense, 3 worse than before (bench compare).";

impl Cli {
    /// The command, `serve` where none is named.
    ///
    /// # Errors
    /// Options of `serve` stand before another command, where they would be lost.
    pub(crate) fn into_command(self) -> Result<Command, Usage> {
        let Some(command) = self.command else { return Ok(Command::Serve(self.serve)) };
        // The file may be named anywhere, and by the environment.
        if (ServeOptions { file: ConfigFile::default(), ..self.serve }) != ServeOptions::default() {
            return Err(Usage("options of a command stand after its name: hostler serve --model …".to_owned()));
        }
        Ok(command)
    }
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve models: HTTP, router and schedulers in one process
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeOptions),
    /// Serve models over HTTP that workers hold, here or on other machines
    #[command(after_help = GATEWAY_EXAMPLES)]
    Gateway(GatewayOptions),
    /// Hold models for gateways
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(WorkerOptions),
    /// Measure servers, and compare what was measured
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// List, fetch and find models
    Model {
        #[command(subcommand)]
        command: ModelCommand,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Show nodes, schedulers, load and claims of a Hostler that runs
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusOptions),
    /// Check or show the configuration, or print its JSON Schema
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// What can be done with benchmarks.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure what each layer of a Hostler costs, from the engine to HTTP
    Ladder(Box<LadderOptions>),
    #[command(flatten)]
    Other(crate::commands::bench::BenchCommand),
}

/// `hostler bench ladder`. Without --url, a Hostler is started for it with these options
/// of `serve`.
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
  hostler serve --model a.gguf --model b.gguf         two models, a scheduler each
  hostler serve --engine llamacpp --device cpu:0-3    on four cores
  hostler serve --engine simulated --model anything   no model: made-up text, for tests
  HOSTLER_SCHEDULER__MAX_BATCH_SIZE=16 hostler serve  any key of the configuration

Ctrl-C finishes the requests that run, and ends; a second one ends at once (exit code 130).";

const GATEWAY_EXAMPLES: &str = "\
Examples:
  hostler gateway --config gateway.toml
  hostler gateway --worker http://10.0.0.2:7070 --worker http://10.0.0.3:7070";

const WORKER_EXAMPLES: &str = "\
Examples:
  hostler worker --config worker.toml
  hostler worker --model a.gguf --engine llamacpp --listen 10.0.0.2:7070

SIGTERM lets the requests that run finish, and ends; a second signal ends at once (exit code 130).";

const BENCH_EXAMPLES: &str = "\
Examples:
  hostler bench run --url http://127.0.0.1:8080            40 requests, 8 at a time, 50 tokens each
  hostler bench run --url A --versus B --repeats 5         two servers in turn, and their ratio
  hostler bench run --url A --shape sweep --concurrency 64 where more brings nothing
  hostler bench run --url A --shape poisson --rate 4 --prompt-tokens 10-200 --max-tokens 10-100
  hostler bench run --url A --claim --min-serving 0        one scheduler, claimed, from within
  hostler bench ladder --engine llamacpp                   what each layer costs
  hostler bench compare old.json new.json                  exit code 3 if the new one is worse
  hostler bench report new.json --format html -o new.html  one page with plots";

const STATUS_EXAMPLES: &str = "\
Examples:
  hostler status                                  the one on this machine
  hostler status --url http://10.0.0.1:8080 --watch
  hostler status --json | jq '.nodes[] | select(.state != \"connected\")'";

/// `hostler status`.
#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Who is asked: a gateway, or `hostler serve`, as http://HOST:PORT
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// An admin's key
    #[arg(long, value_name = "KEY", env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,

    /// Look again and again, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// Time between two looks, 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, requires = "watch", value_parser = interval)]
    pub(crate) interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "0.1 to 3600 are allowed".to_owned())
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "HOSTLER_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// What `serve` overrules of the configuration.
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

/// What `gateway` overrules of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct GatewayOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Worker to use: http://HOST:PORT, https://HOST:PORT or unix:/PATH. Once for each
    #[arg(long, value_name = "URL")]
    pub(crate) worker: Vec<String>,

    #[command(flatten)]
    pub(crate) address: AddressOption,

    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// What `worker` overrules of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct WorkerOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    #[command(flatten)]
    pub(crate) schedulers: SchedulerOptions,

    /// Where gateways connect: IP:PORT (port 0 takes a free one) or unix:/PATH
    #[arg(long, value_name = "PLACE")]
    pub(crate) listen: Option<String>,

    /// Its name, unique in the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) log: LogOptions,

    /// Read the configuration from standard input, which its parent keeps open as long as
    /// it lives. How a process starts workers for its own schedulers, as parts of its node
    #[arg(long, hide = true, value_name = "NODE",
          conflicts_with_all = ["config", "model", "engine", "device", "listen", "name"])]
    pub(crate) child: Option<String>,
}

/// Which models are run, and how.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct SchedulerOptions {
    /// Model to serve: a catalogue name, a hub id (owner/name), a GGUF file or a folder.
    /// Once for each model
    #[arg(long, value_name = "ID|PATH")]
    pub(crate) model: Vec<String>,

    /// Engine that runs it
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    pub(crate) engine: Option<String>,

    /// Where it runs: auto, cpu, cpu:0-3, cuda:0, metal, vulkan:0, rocm:0
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// So many of it, which share the CPU's cores evenly
    #[arg(long, value_name = "N")]
    pub(crate) replicas: Option<u32>,

    /// Most sequences in flight
    #[arg(long, value_name = "N")]
    pub(crate) max_batch_size: Option<u32>,

    /// Most tokens of a sequence, prompt and output together
    #[arg(long, value_name = "N")]
    pub(crate) max_context_length: Option<u32>,
}

/// Where HTTP is served.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct AddressOption {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) address: Option<SocketAddr>,
}

/// What is logged.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct LogOptions {
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_parser = log_formats())]
    pub(crate) log_format: Option<String>,

    /// What is logged: error, warn, info, debug, trace, or target=level,…
    #[arg(long, value_name = "FILTER")]
    pub(crate) log_filter: Option<String>,
}

/// The engines, as the configuration spells them.
fn engines() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("mistralrs").help("for GPUs; the default"),
        PossibleValue::new("llamacpp").help("the faster one on CPUs"),
        PossibleValue::new("simulated").help("runs no model: generates text at a configured cost"),
    ])
}

/// The formats of log lines, as the configuration spells them.
fn log_formats() -> PossibleValuesParser {
    PossibleValuesParser::new([
        PossibleValue::new("text").help("human-readable"),
        PossibleValue::new("json").help("one JSON object per line"),
    ])
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Show the catalogue and what has been pulled
    List,
    /// Fetch a model and check it; if it is here already, read it through
    Pull {
        /// A catalogue name, or a hub id: owner/name, owner/name@revision, owner/name:file.gguf
        id: String,
    },
    /// Print where a pulled model is
    Path {
        /// As it was pulled
        id: String,
    },
}

/// What can be done with configurations.
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
    fn serve_is_what_happens_when_nothing_is_said() {
        let command = Cli::parse_from(["hostler", "--engine", "llamacpp"]).into_command();
        assert!(
            matches!(command, Ok(Command::Serve(options)) if options.schedulers.engine.as_deref() == Some("llamacpp"))
        );
    }

    #[test]
    fn options_before_a_command_are_refused_rather_than_lost() {
        assert!(Cli::parse_from(["hostler", "--engine", "llamacpp", "serve"]).into_command().is_err());
        assert!(Cli::parse_from(["hostler", "--json", "--config", "f", "serve"]).into_command().is_ok());
    }
}
