//! `hostler verify`: runs the contract suite of engines on this machine's devices.

use std::process::ExitCode;

use hostler_config::NamedScheduler;
use hostler_executor::contract::{Outcome, Report, Violation, run_all};
use serde_json::{Value, json};

use crate::cli::{ServeOptions, VerifyOptions};
use crate::{configuration, engines, models, telemetry};

/// Checks each configured scheduler's engine, one after the other.
pub(crate) fn run(options: VerifyOptions, as_json: bool) -> anyhow::Result<ExitCode> {
    let contract = options.contract();
    let VerifyOptions { file, schedulers, log, .. } = options;
    let config = configuration::load(&ServeOptions { file, schedulers, log, ..ServeOptions::default() })?;
    telemetry::init_logs(&config.log)?;
    let mut results = Vec::new();
    for scheduler in &config.schedulers {
        let model = models::prepare(&config, scheduler)?;
        let factory = engines::factory(scheduler, &model)?;
        if !as_json {
            println!("{}: {} on {}", scheduler.name, scheduler.spec.engine.as_str(), scheduler.spec.device);
        }
        let report = run_all(factory.as_ref(), &contract).map_err(|Violation(reason)| anyhow::anyhow!(reason))?;
        if !as_json {
            print!("{report}");
        }
        results.push((scheduler, report));
    }
    if as_json {
        let results: Vec<Value> = results.iter().map(|(scheduler, report)| result(scheduler, report)).collect();
        println!("{}", serde_json::to_string_pretty(&results)?);
    }
    let passed = results.iter().all(|(_, report)| report.outcomes.iter().all(|outcome| outcome.result.is_ok()));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn result(scheduler: &NamedScheduler, report: &Report) -> Value {
    let checks: Vec<Value> = report.outcomes.iter().map(check).collect();
    json!({
        "scheduler": scheduler.name,
        "engine": scheduler.spec.engine.as_str(),
        "device": scheduler.spec.device.to_string(),
        "checks": checks,
    })
}

fn check(Outcome { name, result, took }: &Outcome) -> Value {
    json!({
        "name": name,
        "passed": result.is_ok(),
        "seconds": took.as_secs_f64(),
        "violation": result.as_ref().err().map(|Violation(reason)| reason),
    })
}
