//! `hostler bench`: the command line of benchmarks.

mod arguments;
mod asked;
mod progress;
mod remote;
mod run;

use std::fmt;
use std::path::Path;

pub use arguments::{
    BenchCommand, ClaimArgs, CompareArgs, DrainName, LadderArgs, LoadArgs, ReportArgs, ReportFormat, RunArgs,
    ShapeName, TargetArgs,
};

use crate::report;
use crate::result::{self, Comparison};

/// How a command ended, by the codes that all of Hostler's commands use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Success = 0,
    /// It could not.
    Failed = 1,
    /// It was asked for something that cannot be.
    Usage = 2,
    /// The new result is worse than the old.
    Regression = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended otherwise than in success.
struct Stop {
    exit: Exit,
    reason: String,
}

impl Stop {
    fn failed(reason: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, reason: reason.to_string() }
    }

    fn usage(reason: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, reason: reason.to_string() }
    }
}

/// Carries a command out, in a tokio runtime. Results go to standard output, as
/// JSON if `as_json`; the rest goes to standard error. `commit` is the one that this
/// program was built from.
pub async fn run(command: BenchCommand, as_json: bool, commit: Option<&str>) -> Exit {
    let done = match command {
        BenchCommand::Run(arguments) => Box::pin(run::run(*arguments, as_json, commit)).await,
        BenchCommand::Compare(arguments) => compare(&arguments, as_json),
        BenchCommand::Report(arguments) => report(&arguments),
    };
    finish(done, as_json)
}

/// Has the Hostler at `url` climb the ladder on a scheduler of `model` (its only one, if
/// `None`), in the same way.
pub async fn ladder(arguments: LadderArgs, url: &str, model: Option<&str>, as_json: bool) -> Exit {
    finish(Box::pin(run::ladder(arguments, url, model, as_json)).await, as_json)
}

fn finish(done: Result<Exit, Stop>, as_json: bool) -> Exit {
    done.unwrap_or_else(|stop| {
        if as_json {
            eprintln!("{}", serde_json::json!({"error": stop.reason}));
        } else {
            eprintln!("error: {}", stop.reason);
        }
        stop.exit
    })
}

fn compare(arguments: &CompareArgs, as_json: bool) -> Result<Exit, Stop> {
    if !(0.0..=1000.0).contains(&arguments.threshold_percent) {
        return Err(Stop::usage(format!("the threshold is {} %; it must be 0 to 1000", arguments.threshold_percent)));
    }
    let old = result::read(&arguments.old).map_err(Stop::failed)?;
    let new = result::read(&arguments.new).map_err(Stop::failed)?;
    let comparison = Comparison::of(&old, &new, arguments.threshold_percent / 100.0);
    if comparison.changes.is_empty() {
        return Err(Stop::failed("the two results have nothing in common"));
    }
    if as_json {
        println!("{}", json(&comparison)?);
    } else {
        print!("{}", report::comparison(&comparison));
    }
    Ok(if comparison.has_regressed() { Exit::Regression } else { Exit::Success })
}

fn report(arguments: &ReportArgs) -> Result<Exit, Stop> {
    let result = result::read(&arguments.result).map_err(Stop::failed)?;
    let text = match arguments.format {
        ReportFormat::Markdown => report::markdown(&result),
        ReportFormat::Csv => report::csv(&result),
        ReportFormat::Html => report::html(&result).map_err(Stop::failed)?,
    };
    match &arguments.output {
        Some(path) => write(path, &text)?,
        None => print!("{text}"),
    }
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(path, text).map_err(|error| Stop::failed(format!("{}: {error}", path.display())))
}

fn json(value: &impl serde::Serialize) -> Result<String, Stop> {
    serde_json::to_string_pretty(value).map_err(Stop::failed)
}
