//! Error messages and exit codes of the command.

use std::process::ExitCode;

use hostler_config::ConfigError;
use hostler_models::ModelError;
use serde_json::json;

/// The command failed.
const FAILED: u8 = 1;
/// The arguments or the configuration are invalid: a retry needs other ones.
const USAGE: u8 = 2;

/// Invalid arguments or configuration.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints an error, one line for each problem, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error, as_json: bool) -> ExitCode {
    // The whole chain: the last cause is usually the one that the user can correct.
    let message = format!("{error:#}");
    if as_json {
        eprintln!("{}", json!({ "error": message }));
    } else {
        for line in message.lines() {
            eprintln!("error: {line}");
        }
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let is_usage = error.is::<Usage>()
        || error.is::<ConfigError>()
        || matches!(error.downcast_ref(), Some(ModelError::Reference { .. }));
    if is_usage { USAGE } else { FAILED }
}
