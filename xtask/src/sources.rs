//! How source files look.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// A file beyond this holds two ideas.
const LINES_MAX: usize = 400;

/// Marks of unfinished work, in two parts so that this file has none.
const MARKS: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("X", "XX")];

/// Package registries and hubs are reached through their clients, which know where
/// they are and may have been told otherwise. In parts, for the same reason.
const HOSTS: &[(&str, &str)] = &[
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("huggingface", "co"),
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("npmjs", "org"),
    ("deb.debian", "org"),
    ("ghcr", "io"),
];

/// Files of the work tree that are part of the project, tracked or about to be.
pub(crate) fn tracked() -> anyhow::Result<Vec<PathBuf>> {
    let list = crate::commands::output(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    Ok(list.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).filter(|path| path.is_file()).collect())
}

/// What is wrong with one file. A file that is no text has nothing wrong.
pub(crate) fn complaints(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let name = path.display().to_string();
    Ok(std::str::from_utf8(&bytes).map(|text| inspect(&name, text)).unwrap_or_default())
}

fn inspect(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    // cargo writes this one.
    if name == "Cargo.lock" {
        return complaints;
    }
    if name.ends_with(".rs") {
        if !text.starts_with("//!") {
            complaints.push(format!("{name}:1: a file opens with a //! line that says what it is for"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!("{name}: {lines} lines; a file of more than {LINES_MAX} holds two ideas"));
        }
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        if let Some(mark) = MARKS.iter().map(|(a, b)| format!("{a}{b}")).find(|mark| has_word(line, mark)) {
            complaints.push(format!("{place}: {mark}: finish it, or write down where it is decided"));
        }
        if let Some(host) = HOSTS.iter().map(|(a, b)| format!("{a}.{b}")).find(|host| line.contains(host)) {
            complaints.push(format!("{place}: {host}: name the package, and leave the place to the package's client"));
        }
    }
    complaints
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_opening_line_is_noticed() {
        assert_eq!(inspect("a.rs", "use std::fs;\n").len(), 1);
        assert!(inspect("a.rs", "//! What it is for.\n").is_empty());
        assert!(inspect("a.toml", "a = 1\n").is_empty());
    }

    #[test]
    fn a_long_file_is_noticed() {
        let text = |lines| format!("//! Long.\n{}", "\n".repeat(lines));
        assert!(inspect("a.rs", &text(LINES_MAX - 1)).is_empty());
        assert_eq!(inspect("a.rs", &text(LINES_MAX)).len(), 1);
    }

    #[test]
    fn marks_and_hosts_are_noticed_with_their_line() {
        let mark = format!("//! a\n// {}{}: later\n", "TO", "DO");
        assert!(inspect("a.rs", &mark)[0].starts_with("a.rs:2: "));
        let host = format!("see https://{}.{}/x\n", "pypi", "org");
        assert_eq!(inspect("README.md", &host).len(), 1);
        assert!(inspect("README.md", "METHODOLOGY, PREFIXMENT\n").is_empty());
    }
}
