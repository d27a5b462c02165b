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

use anyhow::Context;

/// Packages that have import cycles until their refactoring is done. New cycles in them are
/// shown; the list only shrinks.
const KNOWN_CYCLES: &str = "xtask/known-cycles.txt";

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
    let known_cycles = std::fs::read_to_string(KNOWN_CYCLES).context(KNOWN_CYCLES)?;
    for (package, roots) in &graph.targets {
        let cycles = cycles::find(package, roots)?;
        if !known_cycles.lines().any(|known| known == package) {
            problems.extend(cycles);
        } else if cycles.is_empty() {
            problems.push(format!("{KNOWN_CYCLES}: {package} has no cycle: remove its line"));
        } else {
            cycles.iter().for_each(|cycle| println!("known: {cycle}"));
        }
    }
    let banned_words = words::BannedWords::load()?;
    for file in sources::tracked()? {
        problems.extend(sources::problems(&file)?);
        problems.extend(links::broken(&file)?);
        problems.extend(banned_words.problems(&file)?);
    }
    Ok(problems)
}
