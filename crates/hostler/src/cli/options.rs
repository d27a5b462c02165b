//! Options that several commands have in common.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "HOSTLER_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// Options of schedulers.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct SchedulerOptions {
    /// Model to serve: a catalogue name, a hub id (owner/name), a GGUF file or a directory.
    /// Can be repeated
    #[arg(long, value_name = "ID|PATH")]
    pub(crate) model: Vec<String>,

    /// Engine that runs the model
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    pub(crate) engine: Option<String>,

    /// Device: auto, cpu, cpu:0-3, cuda:0, metal, vulkan:0, rocm:0
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Number of identical schedulers, which share the CPU cores evenly
    #[arg(long, value_name = "N")]
    pub(crate) replicas: Option<u32>,

    /// Maximum number of sequences in flight
    #[arg(long, value_name = "N")]
    pub(crate) max_batch_size: Option<u32>,

    /// Maximum number of tokens of a sequence, prompt and output together
    #[arg(long, value_name = "N")]
    pub(crate) max_context_length: Option<u32>,
}

/// Address of the HTTP server.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct AddressOption {
    /// Address of the HTTP server; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) address: Option<SocketAddr>,
}

/// Options of the log.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct LogOptions {
    /// Format of log lines
    #[arg(long, value_name = "FORMAT", value_parser = log_formats())]
    pub(crate) log_format: Option<String>,

    /// Events to log: error, warn, info, debug, trace, or target=level,…
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
