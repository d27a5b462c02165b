//! `hostler bench run|ladder|compare|report`.

mod arguments;
mod order;
mod progress;
mod remote;
mod run;
mod server;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use hostler_loadgen::result::{self, Comparison};

pub(crate) use arguments::{BenchCommand, LadderArgs};

use crate::cli::{self, LadderOptions};
use crate::failure::Usage;
use arguments::{CompareArgs, ReportArgs, ReportFormat};
use server::Server;

/// Exit code of `compare` if a deciding metric has regressed, or if `--strict` and no metric
/// could.
const REGRESSION: u8 = 3;

/// Runs a command. `commit` is the one that this program was built from, for results.
pub(crate) fn run(command: cli::BenchCommand, as_json: bool, commit: Option<&str>) -> anyhow::Result<ExitCode> {
    // One thread: a load generator that needs more would take CPU time from the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        cli::BenchCommand::Other(command) => runtime.block_on(execute(command, as_json, commit)),
        cli::BenchCommand::Ladder(options) => {
            let LadderOptions { mut ladder, serve } = *options;
            if let Some(url) = ladder.url.take() {
                let model = serve.schedulers.model.first().map(String::as_str);
                return runtime.block_on(run::ladder(ladder, &url, model, as_json));
            }
            let server = Server::start(&serve)?;
            // The new server has no other clients, so all its schedulers may be claimed.
            ladder.claim.min_serving = ladder.claim.min_serving.or(Some(0));
            runtime.block_on(run::ladder(ladder, &server.url, None, as_json))
        }
    }
}

/// Runs a command other than `ladder`. The result goes to standard output, progress to
/// standard error.
async fn execute(command: BenchCommand, as_json: bool, commit: Option<&str>) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Run(arguments) => Box::pin(run::run(*arguments, as_json, commit)).await,
        BenchCommand::Compare(arguments) => compare(&arguments, as_json),
        BenchCommand::Report(arguments) => report(&arguments),
    }
}

fn compare(arguments: &CompareArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let threshold = arguments.threshold_percent;
    if !(0.0..=1000.0).contains(&threshold) {
        bail!(Usage(format!("--threshold-percent is {threshold}; it must be 0 to 1000")));
    }
    let (old, new) = (result::read(&arguments.old)?, result::read(&arguments.new)?);
    let comparison = Comparison::of(&old, &new, threshold / 100.0);
    if comparison.changes.is_empty() {
        bail!("the two results have no metric of the same series in common");
    }
    if as_json {
        run::print_json(&comparison)?;
    } else {
        print!("{}", hostler_report::comparison(&comparison));
    }
    let too_few = hostler_report::too_few_rounds(&comparison);
    if let Some(warning) = &too_few {
        eprintln!("warning: {warning}");
    }
    let fails = comparison.has_regressed() || (arguments.strict && too_few.is_some());
    Ok(if fails { ExitCode::from(REGRESSION) } else { ExitCode::SUCCESS })
}

fn report(arguments: &ReportArgs) -> anyhow::Result<ExitCode> {
    let result = result::read(&arguments.result)?;
    let text = match arguments.format {
        ReportFormat::Markdown => hostler_report::markdown(&result),
        ReportFormat::Csv => hostler_report::csv(&result)?,
        ReportFormat::Html => hostler_report::html(&result)?,
    };
    match &arguments.output {
        Some(path) => write(path, &text)?,
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
