//! Automation that is too complex for shell scripts: `cargo xtask COMMAND`.

mod commands;
mod cycles;
mod docs;
mod features;
mod layout;
mod links;
mod metadata;
mod sources;
mod words;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  check-layout    dependencies between crates and files, source files, wording, links
  check-features  no dependency of tests changes the features of a shared dependency
  docs            writes the generated parts of docs/ and config/
";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let problems = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
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
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_layout() -> anyhow::Result<Vec<String>> {
    let graph = metadata::load()?;
    let mut problems = layout::violations(&graph);
    for (package, roots) in &graph.targets {
        problems.extend(cycles::find(package, roots)?);
    }
    let banned_words = words::BannedWords::load()?;
    for file in sources::tracked()? {
        problems.extend(sources::problems(&file)?);
        problems.extend(links::broken(&file)?);
        problems.extend(banned_words.problems(&file)?);
    }
    Ok(problems)
}
