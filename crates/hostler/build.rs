//! Passes the commit to the program: `HOSTLER_COMMIT`, or the one that git reports.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=HOSTLER_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("HOSTLER_COMMIT").is_some() {
        return;
    }
    // Git writes this file with every commit and checkout. In a worktree it has another path.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    // Sources from an archive have no commit.
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=HOSTLER_COMMIT={commit}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
