//! What can be written behind `hostler bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::service::Layer;
use crate::target::http::Endpoint;
use crate::workload::Length;

/// Measures servers, and compares what was measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure an OpenAI-compatible server, or two of them side by side.
    Run(Box<RunArgs>),
    /// Compare two results; exit code 3 if the new one is worse.
    Compare(CompareArgs),
    /// Show a result.
    Report(ReportArgs),
}

/// `hostler bench run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The servers.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Have the Hostler at the URL claim a scheduler for this run and drive it from
    /// within, undisturbed by other traffic (needs an admin's key).
    #[arg(long, conflicts_with_all = ["versus", "extra_body", "no_stream", "server_pid"])]
    pub claim: bool,
    /// What is asked of the claimed scheduler [default: the scheduler itself].
    #[arg(long, value_enum, requires = "claim")]
    pub layer: Option<Layer>,
    /// How it is claimed.
    #[command(flatten)]
    pub terms: ClaimArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Write the result, as JSON, to this file.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `hostler bench ladder`, but for the model: that is `--model`, of whoever serves it.
#[derive(Debug, Args)]
pub struct LadderArgs {
    /// A running Hostler, as http://host:port [default: one is started for the ladder].
    #[arg(long)]
    pub url: Option<String>,
    /// An admin's key.
    #[arg(long, env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// The layers, comma-separated [default: all on the way to the scheduler].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub layers: Vec<Layer>,
    /// How the scheduler is claimed.
    #[command(flatten)]
    pub terms: ClaimArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Write the result, as JSON, to this file.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a scheduler is claimed.
#[derive(Debug, Default, PartialEq, Args)]
pub struct ClaimArgs {
    /// The scheduler [default: the least loaded of the model].
    #[arg(long, value_name = "NAME")]
    pub scheduler: Option<String>,
    /// What happens to the requests that it has.
    #[arg(long, value_enum, default_value_t = DrainName::Wait)]
    pub drain: DrainName,
    /// So many schedulers of the model must go on serving; with 0, requests wait for the
    /// end where there is no other [default: 1].
    #[arg(long, value_name = "N")]
    pub min_serving: Option<u32>,
    /// Claim it even if fewer go on serving.
    #[arg(long)]
    pub force: bool,
}

/// What happens to the requests of a scheduler that is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DrainName {
    /// They are finished first.
    #[default]
    Wait,
    /// They are continued elsewhere.
    Evict,
    /// They are cancelled.
    Fail,
}

/// Which servers, and how they are asked.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The server, as http://host:port.
    #[arg(long)]
    pub url: String,
    /// A second server, measured in turn with the first: A B, A B, ….
    #[arg(long, value_name = "URL")]
    pub versus: Option<String>,
    /// The model to ask [default: the first that the server lists].
    #[arg(long)]
    pub model: Option<String>,
    /// The model to ask of the second server [default: the first that it lists].
    #[arg(long, value_name = "MODEL", requires = "versus")]
    pub versus_model: Option<String>,
    /// Key to send as bearer token, to both servers.
    #[arg(long, env = "HOSTLER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Which API.
    #[arg(long, value_enum, default_value_t = Endpoint::Chat)]
    pub endpoint: Endpoint,
    /// Ask for answers in one piece.
    #[arg(long)]
    pub no_stream: bool,
    /// Further members of the request body, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub extra_body: Option<String>,
    /// The same for the second server.
    #[arg(long, value_name = "JSON", requires = "versus")]
    pub versus_extra_body: Option<String>,
    /// Process of the server on this machine, to measure its CPU time and memory
    /// (may be given more than once).
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,
    /// The same for the second server.
    #[arg(long, value_name = "PID", requires = "versus")]
    pub versus_pid: Vec<u32>,
}

/// What is asked, and when. The defaults are those of the benchmark that Hostler
/// goes back to: 40 requests, 8 at a time, 50 tokens each.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// When requests are sent.
    #[arg(long, value_enum, default_value_t = ShapeName::Concurrent)]
    pub shape: ShapeName,
    /// Requests in flight (concurrent); most of them (sweep).
    #[arg(long, short, default_value_t = 8)]
    pub concurrency: u32,
    /// Requests per second (constant, poisson), or at the end (ramp).
    #[arg(long, required_if_eq_any = [("shape", "constant"), ("shape", "poisson"), ("shape", "ramp")])]
    pub rate: Option<f64>,
    /// Requests per second at the beginning (ramp).
    #[arg(long, required_if_eq("shape", "ramp"))]
    pub from_rate: Option<f64>,
    /// Seconds that the rate takes to its end (ramp).
    #[arg(long, required_if_eq("shape", "ramp"))]
    pub ramp_seconds: Option<f64>,
    /// Requests of a run [default: 40, or all of a trace].
    #[arg(long, short = 'n')]
    pub requests: Option<u64>,
    /// Send no request after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<f64>,
    /// Output tokens: a number, or a range such as 10-100.
    #[arg(long, default_value = "50")]
    pub max_tokens: Length,
    /// Let the model end its answers; otherwise `ignore_eos` asks for exact lengths.
    #[arg(long)]
    pub natural_end: bool,
    /// Prompt of every request.
    #[arg(long, default_value = "Tell a short story about a horse that works on the railway.")]
    pub prompt: String,
    /// File of prompts, one on each line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_tokens"])]
    pub prompt_file: Option<PathBuf>,
    /// Random prompts of so many tokens: a number, or a range such as 10-200.
    #[arg(long, value_name = "TOKENS", conflicts_with = "prompt")]
    pub prompt_tokens: Option<Length>,
    /// So many random tokens before them, the same for many requests.
    #[arg(long, value_name = "TOKENS", requires = "prompt_tokens")]
    pub shared_prefix: Option<u32>,
    /// How many different shared prefixes there are.
    #[arg(long, default_value_t = 1, requires = "shared_prefix", value_parser = clap::value_parser!(u32).range(1..))]
    pub prefix_groups: u32,
    /// Conversations of so many turns, each with random prompts of --prompt-tokens: a turn
    /// comes after the answer to the one before, and carries all that was said.
    #[arg(long, value_name = "TURNS", requires = "prompt_tokens", conflicts_with = "shared_prefix")]
    pub turns: Option<u32>,
    /// Requests as in this file: lines of JSON with timestamp, input_length, output_length
    /// and hash_ids, as Mooncake's traces have them.
    #[arg(long, value_name = "FILE", required_if_eq("shape", "replay"),
          conflicts_with_all = ["prompt", "prompt_file", "prompt_tokens"])]
    pub trace: Option<PathBuf>,
    /// Replay so many times as fast as it was.
    #[arg(long, default_value_t = 1.0, requires = "trace")]
    pub speed: f64,
    /// Of so many clients in a hundred, the answer is given up before its end.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub leave_percent: f64,
    /// They leave after so many tokens: a number, or a range such as 1-20.
    #[arg(long, value_name = "TOKENS", default_value = "10")]
    pub leave_after: Length,
    /// Sampling temperature.
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f32,
    /// Seed of all that is random in the load.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How often each server, or layer, is measured [default: 1; of a ladder: 5].
    #[arg(long)]
    pub repeats: Option<u32>,
    /// Requests before each run that do not count [default: as many as are in flight].
    #[arg(long, value_name = "REQUESTS")]
    pub warm_up: Option<u64>,
    /// Leave out so many seconds at the beginning of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub skip_head: f64,
    /// Leave out so many seconds at the end of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub skip_tail: f64,
    /// A request that takes longer has failed.
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    pub timeout: f64,
    /// Objective for goodput: time to the first token.
    #[arg(long, value_name = "MS")]
    pub slo_ttft_ms: Option<f64>,
    /// Objective for goodput: time per further token.
    #[arg(long, value_name = "MS")]
    pub slo_tpot_ms: Option<f64>,
    /// Objective for goodput: time to the end.
    #[arg(long, value_name = "MS")]
    pub slo_e2e_ms: Option<f64>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShapeName {
    /// One after the other.
    Synchronous,
    /// So many in flight at all times.
    Concurrent,
    /// At even intervals.
    Constant,
    /// At random intervals.
    Poisson,
    /// At a rate that rises or falls.
    Ramp,
    /// At the times of a trace.
    Replay,
    /// 1, 2, 4, 8 … in flight, until more brings nothing.
    Sweep,
}

/// `hostler bench compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The result to compare with.
    pub old: PathBuf,
    /// The result that is judged.
    pub new: PathBuf,
    /// Changes up to this do not count.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub threshold_percent: f64,
}

/// `hostler bench report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The result to show.
    pub result: PathBuf,
    /// In which form.
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
    pub format: ReportFormat,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Tables in Markdown.
    Markdown,
    /// One line for each value of each round.
    Csv,
    /// One page with plots.
    Html,
}
