//! `hostler bench` without the rest of `hostler`: builds in seconds, and runs
//! where no engine is wanted.
//!
//! ```text
//! cargo run -p hostler-benchmark --example bench -- run --url http://127.0.0.1:8080
//! ```

use std::process::ExitCode;

use clap::Parser;
use hostler_benchmark::cli::{self, BenchCommand};

#[derive(Parser)]
#[command(name = "bench", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: BenchCommand,

    /// Write results as JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::run(arguments.command, arguments.json, None).await.into()
}
