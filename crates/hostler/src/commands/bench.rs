//! `hostler bench run|compare|report`.

use std::process::ExitCode;

use hostler_benchmark::cli::{self, BenchCommand};

pub(crate) fn run(command: BenchCommand, as_json: bool) -> anyhow::Result<ExitCode> {
    // One thread: a generator that needs more would take the server's processors.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(cli::run(command, as_json)).into())
}
