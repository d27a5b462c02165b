//! Tells the program which commit it is built from: `HOSTLER_COMMIT`, or what git says.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=HOSTLER_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("HOSTLER_COMMIT").is_some() {
        return;
    }
    // Git writes here with every commit and every checkout; it is elsewhere in a worktree.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    // Sources from an archive have no commit, and then none is told.
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=HOSTLER_COMMIT={commit}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
