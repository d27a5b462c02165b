//! The `hostler` command: parses the command line and connects the crates. The other
//! crates hold the logic.

mod cli;
mod client;
mod cluster;
mod commands;
mod configuration;
mod engines;
mod environment;
mod facts;
mod failure;
mod gpu;
mod http;
mod isolation;
mod leash;
mod models;
mod preflight;
mod process;
mod progress;
mod registration;
mod replicas;
mod schedulers;
mod signals;
mod telemetry;
mod version;
mod view;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    environment::complete();
    let cli = Cli::parse();
    let as_json = cli.json;
    match run(cli) {
        Ok(code) => code,
        Err(error) => failure::report(&error, as_json),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let as_json = cli.json;
    match cli.into_command()? {
        Command::Serve(options) => commands::serve::run(&options, as_json)?,
        Command::Gateway(options) => commands::gateway::run(&options, as_json)?,
        Command::Worker(options) => commands::worker::run(&options, as_json)?,
        Command::Bench { command } => return commands::bench::run(command, as_json, telemetry::COMMIT),
        Command::Model { command, config } => commands::model::run(command, config, as_json)?,
        Command::Status(options) => commands::status::run(&options, as_json)?,
        Command::Verify(options) => return commands::verify::run(*options, as_json),
        Command::Config { command } => commands::config::run(&command, as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}
