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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::run(Arguments::parse().command).await.into()
}
