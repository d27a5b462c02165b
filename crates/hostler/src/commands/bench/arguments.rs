//! The arguments of `hostler bench`. Defaults of the load are those of an [`Order`].

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use hostler_benchmark::{DEFAULT_CONCURRENCY, DEFAULT_PROMPT, DEFAULT_REQUESTS, Layer, Order};
use hostler_loadgen::target::http::Endpoint;
use hostler_loadgen::workload::Length;
use hostler_protocol::ClaimDrain;
use strum::{EnumMessage, IntoEnumIterator};

/// Benchmarks of servers, and their results.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure an OpenAI-compatible server, or two alternately.
    Run(Box<RunArgs>),
    /// Compare two results; exit code 3 if the new one is worse.
    Compare(CompareArgs),
    /// Show a result.
    Report(ReportArgs),
}

/// `hostler bench run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The servers.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Let the Hostler at the URL claim a scheduler and run the benchmark itself, without
    /// other traffic (needs an admin key).
    #[arg(long, conflicts_with_all = ["versus", "extra_body", "no_stream", "server_pid", "gpu"])]
    pub(crate) claim: bool,
    /// The layer to measure [default: the scheduler itself].
    #[arg(long, requires = "claim", value_parser = variants::<Layer>())]
    pub(crate) layer: Option<Layer>,
    /// The claim.
    #[command(flatten)]
    pub(crate) claim_terms: ClaimArgs,
    /// The load.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Write the result, as JSON, to this file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `hostler bench ladder`, except for the options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct LadderArgs {
    /// A running Hostler, as http://host:port [default: start one for the ladder].
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// An admin key.
    #[arg(long, env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// The layers, comma-separated [default: all on the path to the scheduler].
    #[arg(long, value_delimiter = ',', value_parser = variants::<Layer>())]
    pub(crate) layers: Vec<Layer>,
    /// The claim.
    #[command(flatten)]
    pub(crate) claim: ClaimArgs,
    /// The load.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Write the result, as JSON, to this file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How the scheduler is claimed.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct ClaimArgs {
    /// The scheduler to claim [default: the least loaded one of the model].
    #[arg(long, value_name = "NAME")]
    pub(crate) scheduler: Option<String>,
    /// What happens to the requests that it is processing.
    #[arg(long, default_value = ClaimDrain::Wait.as_str(), value_parser = drain_modes())]
    pub(crate) drain: ClaimDrain,
    /// Number of schedulers of the model that must remain serving. With 0, requests may have
    /// to wait for the end of the benchmark [default: 1].
    #[arg(long, value_name = "N")]
    pub(crate) min_serving: Option<u32>,
    /// Claim it even if fewer remain serving.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The servers and the request settings.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// The server, as http://host:port.
    #[arg(long)]
    pub(crate) url: String,
    /// A second server, measured alternately with the first: A B, A B, ….
    #[arg(long, value_name = "URL")]
    pub(crate) versus: Option<String>,
    /// The model [default: the first that the server lists].
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The model of the second server [default: the first that it lists].
    #[arg(long, value_name = "MODEL", requires = "versus")]
    pub(crate) versus_model: Option<String>,
    /// API key, sent as a bearer token to both servers.
    #[arg(long, env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// The API endpoint.
    #[arg(long, default_value = <&str>::from(Endpoint::Chat), value_parser = variants::<Endpoint>())]
    pub(crate) endpoint: Endpoint,
    /// Request answers in one piece instead of streams.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Additional fields of the request body, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) extra_body: Option<String>,
    /// Additional fields for the second server.
    #[arg(long, value_name = "JSON", requires = "versus")]
    pub(crate) versus_extra_body: Option<String>,
    /// Process id of the server on this machine, to measure its CPU time and memory. May be
    /// given more than once.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Vec<u32>,
    /// Process id of the second server. May be given more than once.
    #[arg(long, value_name = "PID", requires = "versus")]
    pub(crate) versus_pid: Vec<u32>,
    /// NVIDIA GPU of this machine that the server uses, by its index or UUID, to measure the
    /// tokens per joule. May be given more than once.
    #[arg(long, value_name = "GPU")]
    pub(crate) gpu: Vec<String>,
    /// GPU of the second server. May be given more than once.
    #[arg(long, value_name = "GPU", requires = "versus")]
    pub(crate) versus_gpu: Vec<String>,
}

/// The requests, and when they are sent.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// When requests are sent.
    #[arg(long, value_enum, default_value_t = ShapeName::Concurrent)]
    pub(crate) shape: ShapeName,
    /// Requests in flight (concurrent), or the maximum (sweep).
    #[arg(long, short, default_value_t = DEFAULT_CONCURRENCY)]
    pub(crate) concurrency: u32,
    /// Requests per second (constant, poisson), or at the end (ramp).
    #[arg(long, required_if_eq_any = [("shape", "constant"), ("shape", "poisson"), ("shape", "ramp")])]
    pub(crate) rate: Option<f64>,
    /// Requests per second at the start (ramp).
    #[arg(long, required_if_eq("shape", "ramp"))]
    pub(crate) from_rate: Option<f64>,
    /// Seconds over which the rate changes (ramp).
    #[arg(long, required_if_eq("shape", "ramp"))]
    pub(crate) ramp_seconds: Option<f64>,
    #[arg(long, short = 'n', help = format!("Requests per run [default: {DEFAULT_REQUESTS}, or all of a trace]"))]
    pub(crate) requests: Option<u64>,
    /// Send no request after this number of seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// Output tokens per request: a number, or a range such as 10-100.
    #[arg(long, default_value_t = Order::default().max_tokens)]
    pub(crate) max_tokens: Length,
    /// Let the model end its answers; otherwise `ignore_eos` requests exact lengths.
    #[arg(long)]
    pub(crate) natural_end: bool,
    /// Prompt of every request.
    #[arg(long, default_value = DEFAULT_PROMPT)]
    pub(crate) prompt: String,
    /// File of prompts, one per line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_tokens"])]
    pub(crate) prompt_file: Option<PathBuf>,
    /// Random prompts of this length in tokens: a number, or a range such as 10-200.
    #[arg(long, value_name = "TOKENS", conflicts_with = "prompt")]
    pub(crate) prompt_tokens: Option<Length>,
    /// Length of a random prefix in tokens that many prompts share.
    #[arg(long, value_name = "TOKENS", requires = "prompt_tokens")]
    pub(crate) shared_prefix: Option<u32>,
    /// Number of different shared prefixes.
    #[arg(long, default_value_t = 1, requires = "shared_prefix", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) prefix_groups: u32,
    /// Conversations of this number of turns, with random prompts of --prompt-tokens. A turn is
    /// sent after the previous answer and contains the whole conversation so far.
    #[arg(long, value_name = "TURNS", requires = "prompt_tokens", conflicts_with = "shared_prefix")]
    pub(crate) turns: Option<u32>,
    /// Trace file in Mooncake's format: lines of JSON with timestamp, input_length,
    /// output_length and hash_ids.
    #[arg(long, value_name = "FILE", required_if_eq("shape", "replay"),
          conflicts_with_all = ["prompt", "prompt_file", "prompt_tokens"])]
    pub(crate) trace: Option<PathBuf>,
    /// Speed of a replay, as a multiple of the recorded rate.
    #[arg(long, default_value_t = 1.0, requires = "trace")]
    pub(crate) speed: f64,
    /// Percentage of clients that disconnect before the end of their answer.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) leave_percent: f64,
    /// They disconnect after this number of tokens: a number, or a range such as 1-20.
    #[arg(long, value_name = "TOKENS", default_value = "10")]
    pub(crate) leave_after: Length,
    /// Sampling temperature.
    #[arg(long, default_value_t = Order::default().temperature)]
    pub(crate) temperature: f32,
    /// Seed of everything random in the load.
    #[arg(long, default_value_t = Order::default().seed)]
    pub(crate) seed: u64,
    /// Runs of each server or layer [default: 1; ladder: 5; with --until the least, 6].
    #[arg(long)]
    pub(crate) repeats: Option<u32>,
    /// Measure further, short rounds until the interval of each ratio (of the throughput, if
    /// there is one target) is at most this percentage in either direction: 1%, 0.5%.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) until: Option<f64>,
    /// With --until: begin no further round after this number of seconds.
    #[arg(long, value_name = "SECONDS", requires = "until", default_value_t = Order::default().until_seconds_max)]
    pub(crate) until_seconds: f64,
    /// Unmeasured requests before each run [default: as many as are in flight].
    #[arg(long, value_name = "REQUESTS")]
    pub(crate) warm_up: Option<u64>,
    /// Exclude this number of seconds at the start of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = Order::default().head_seconds)]
    pub(crate) skip_head: f64,
    /// Exclude this number of seconds at the end of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = Order::default().tail_seconds)]
    pub(crate) skip_tail: f64,
    /// A request that takes longer fails.
    #[arg(long, value_name = "SECONDS", default_value_t = Order::default().request_seconds_max)]
    pub(crate) timeout: f64,
    /// Objective for goodput: time to the first token.
    #[arg(long, value_name = "MS")]
    pub(crate) slo_ttft_ms: Option<f64>,
    /// Objective for goodput: time per output token after the first.
    #[arg(long, value_name = "MS")]
    pub(crate) slo_tpot_ms: Option<f64>,
    /// Objective for goodput: time to the end of the answer.
    #[arg(long, value_name = "MS")]
    pub(crate) slo_e2e_ms: Option<f64>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeName {
    /// One request at a time.
    Synchronous,
    /// A constant number in flight.
    Concurrent,
    /// At even intervals.
    Constant,
    /// At random intervals (Poisson process).
    Poisson,
    /// At a rate that changes linearly.
    Ramp,
    /// At the times of a trace.
    Replay,
    /// 1, 2, 4, 8 … in flight, until throughput saturates.
    Sweep,
}

/// `hostler bench compare`
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The old result.
    pub(crate) old: PathBuf,
    /// The new result.
    pub(crate) new: PathBuf,
    /// Ignore changes up to this percentage.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub(crate) threshold_percent: f64,
    /// Exit with 3 also if the results have too few rounds to tell a difference from noise.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `hostler bench report`
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The result to show.
    pub(crate) result: PathBuf,
    /// The format.
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
    pub(crate) format: ReportFormat,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Tables in Markdown.
    Markdown,
    /// One line per metric and round.
    Csv,
    /// One HTML page with plots.
    Html,
}

/// Parses a percentage, with or without its sign.
fn percent(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.trim_end_matches('%').trim_end().parse()
}

/// Parses the variants of `T` by name, with their documentation as help.
fn variants<T>() -> impl TypedValueParser<Value = T>
where
    T: IntoEnumIterator + EnumMessage + FromStr + Into<&'static str> + Clone + Send + Sync + 'static,
{
    let value = |variant: T| {
        let help = variant.get_documentation().unwrap_or_default();
        PossibleValue::new(Into::<&'static str>::into(variant)).help(help)
    };
    let parse = |name: String| name.parse().ok().expect("the parser accepts only names of variants");
    PossibleValuesParser::new(T::iter().map(value)).map(parse)
}

/// Parses drain modes by name.
fn drain_modes() -> impl TypedValueParser<Value = ClaimDrain> {
    let help = |mode| match mode {
        ClaimDrain::Wait => "Finish them first",
        ClaimDrain::Evict => "Continue them on other schedulers",
        ClaimDrain::Fail => "Cancel them",
    };
    let mode = |name: String| ClaimDrain::ALL.into_iter().find(|mode| mode.as_str() == name);
    PossibleValuesParser::new(ClaimDrain::ALL.map(|mode| PossibleValue::new(mode.as_str()).help(help(mode))))
        .map(move |name| mode(name).expect("the parser accepts only names of modes"))
}
