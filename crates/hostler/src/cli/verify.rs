//! `hostler verify`: its options.

use std::time::Duration;

use clap::Args;

use hostler_executor::contract::ContractOptions;

use super::options::{ConfigFile, LogOptions, SchedulerOptions};

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  hostler verify --engine llamacpp
  hostler verify --model ./llama-1b --device cuda:0 --max-batch-size 32

Loads the engine of each configured scheduler and runs some thirty checks on it: concurrent answers
equal those of single requests, answers continue after a migration, seeds, stops, constraints, log
probabilities, cancellation, leaks. Exit code 1 if a check fails. Takes seconds on a GPU and minutes
on a CPU.";

/// `hostler verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    #[command(flatten)]
    pub(crate) schedulers: SchedulerOptions,

    #[command(flatten)]
    pub(crate) log: LogOptions,

    /// Tokens of each answer that is compared with another, 8 to 4096. More find more
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub(crate) answer_tokens: u32,

    /// Longest wait for a single event before the engine counts as hung, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) patience: u64,
}

impl VerifyOptions {
    /// How thorough the checks are.
    pub(crate) fn contract(&self) -> ContractOptions {
        // Sixty requests reveal a leak of a thread each; a slow engine takes minutes for more.
        ContractOptions {
            answer_tokens: self.answer_tokens,
            patience: Duration::from_secs(self.patience),
            short_requests: 60,
            ..ContractOptions::default()
        }
    }
}
