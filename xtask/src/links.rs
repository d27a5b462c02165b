//! Checks the links and paths in the project's Markdown files.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Folders whose files are checked where a text names them in backticks.
const FOLDERS: &[&str] = &["crates/", "dashboards/", "deploy/", "docker/", "scripts/", "xtask/"];

/// A message for each link of a Markdown file to a missing file, and for each missing file
/// that it names.
pub(crate) fn broken(path: &Path) -> anyhow::Result<Vec<String>> {
    if path.extension().is_none_or(|extension| extension != "md") {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let missing = |target: &String| !resolve(&folder, target).exists();
    let describe = |target| format!("{}: there is no {target}", path.display());
    let names = names(&text).into_iter().filter(|name| !Path::new(name).exists());
    Ok(targets(&text).into_iter().filter(missing).chain(names).map(describe).collect())
}

/// A leading slash stands for the root of the repository.
fn resolve(folder: &Path, target: &str) -> PathBuf {
    match target.strip_prefix('/') {
        Some(rest) => PathBuf::from(rest),
        None => folder.join(target),
    }
}

/// The files to which a text links. Skips URLs, anchors and code blocks.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let Some((link, _)) = part.split_once(')') else { continue };
            let file = link.split(['#', ' ']).next().unwrap_or_default();
            if !file.is_empty() && !link.contains("://") && !link.starts_with("mailto:") {
                targets.push(file.to_owned());
            }
        }
    }
    targets
}

/// The files and folders that a text names in backticks, relative to the root of the
/// repository. Skips patterns and placeholders such as `crates/executor-NAME`.
fn names(text: &str) -> Vec<String> {
    let is_path = |span: &&str| {
        FOLDERS.iter().any(|folder| span.starts_with(folder))
            && span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
            && !span.ends_with("NAME")
    };
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_path).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_are_found() {
        let text = "[a](b.md) and [c](../d.md#part), [e](#here), [f](https://example.com)\n```\n[g](h.md)\n```\n";
        assert_eq!(targets(text), ["b.md", "../d.md"]);
    }

    #[test]
    fn names_of_files_are_found_and_patterns_are_not() {
        let text = "see `crates/a/src/lib.rs`, `crates/*/tests`, `cargo build`, `crates/executor-NAME`, crates/b\n";
        assert_eq!(names(text), ["crates/a/src/lib.rs"]);
    }

    #[test]
    fn only_a_broken_link_is_reported() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.md");
        std::fs::write(&path, "[existing](a.md) [missing](b.md)").expect("it is writable");
        let messages = broken(&path).expect("it is readable");
        assert_eq!(messages.len(), 1);
        assert!(messages[0].ends_with("there is no b.md"), "{messages:?}");
    }
}
