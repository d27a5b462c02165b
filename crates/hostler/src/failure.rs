//! How the command ends when it fails.

use std::process::ExitCode;

use hostler_config::ConfigError;
use hostler_models::ModelError;
use serde_json::json;

/// The command did what it could, and failed.
const FAILED: u8 = 1;
/// What was asked for makes no sense: another try needs other options.
const USAGE: u8 = 2;

/// Something that the user must write differently.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Says what went wrong, one line a problem, and chooses the exit code.
pub(crate) fn report(error: &anyhow::Error, as_json: bool) -> ExitCode {
    // The whole chain: the last cause is the one that can be acted on.
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
