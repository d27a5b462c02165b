//! `hostler config check|show`.

use serde_json::json;

use crate::cli::ConfigCommand;
use crate::{engines, settings};

pub(crate) fn run(command: &ConfigCommand, as_json: bool) -> anyhow::Result<()> {
    let (ConfigCommand::Check(options) | ConfigCommand::Show(options)) = command;
    let config = settings::load(options)?;
    for scheduler in &config.schedulers {
        engines::check(scheduler.settings.engine)?;
    }
    match (command, as_json) {
        (ConfigCommand::Check(_), true) => println!("{}", json!({ "valid": true })),
        (ConfigCommand::Check(_), false) => println!("the configuration is valid"),
        (ConfigCommand::Show(_), true) => println!("{}", serde_json::to_string_pretty(&config)?),
        (ConfigCommand::Show(_), false) => print!("{}", hostler_config::effective(&config)),
    }
    Ok(())
}
