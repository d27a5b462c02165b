//! Automation that is too much for a shell line: `cargo xtask COMMAND`.

mod docs;
mod features;
mod layout;
mod links;
mod metadata;
mod sources;

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const HELP: &str = "\
cargo xtask COMMAND

  check-layout    who depends on whom; how source files look; links of the handbook
  check-features  no test-only dependency changes how a shared one is built
  docs            writes what is generated of the handbook and of config/
";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let complaints = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["check-layout"] => check_layout()?,
        ["check-features"] => features::check()?,
        ["docs"] => {
            docs::write()?;
            Vec::new()
        }
        _ => {
            eprint!("{HELP}");
            return Ok(ExitCode::from(2));
        }
    };
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_layout() -> anyhow::Result<Vec<String>> {
    let mut complaints = layout::violations(&metadata::load()?);
    for file in sources::tracked()? {
        complaints.extend(sources::complaints(&file)?);
        complaints.extend(links::broken(&file)?);
    }
    Ok(complaints)
}

/// Runs a command and returns what it prints.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The cargo that runs us.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
