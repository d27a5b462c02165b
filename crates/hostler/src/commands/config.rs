//! `hostler config check|show|schema`.

use serde_json::json;

use crate::cli::ConfigCommand;
use crate::{configuration, preflight};

pub(crate) fn run(command: &ConfigCommand, as_json: bool) -> anyhow::Result<()> {
    let (ConfigCommand::Check(options) | ConfigCommand::Show(options)) = command else {
        print!("{}", hostler_config::json_schema());
        return Ok(());
    };
    let config = configuration::load(options)?;
    if matches!(command, ConfigCommand::Check(_)) {
        preflight::check_with_replicas(&config)?;
    }
    match (command, as_json) {
        (ConfigCommand::Check(_), true) => println!("{}", json!({ "valid": true })),
        (ConfigCommand::Check(_), false) => println!("the configuration is valid"),
        (_, true) => println!("{}", serde_json::to_string_pretty(&config)?),
        (_, false) => print!("{}", hostler_config::effective(&config)),
    }
    Ok(())
}
