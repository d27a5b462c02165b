//! What this program is: its version and commit, its engines, and what they may use.

use std::sync::LazyLock;

/// Digits of the commit that are shown, as git abbreviates it.
const COMMIT_DIGITS: usize = 9;

/// `0.1.0 (commit 0123abcde; engines: mistralrs, llamacpp, simulated; features: cuda)`
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("HOSTLER_COMMIT").map(|commit| commit.get(..COMMIT_DIGITS).unwrap_or(commit));
    let engines = [("mistralrs", cfg!(feature = "mistralrs")), ("llamacpp", cfg!(feature = "llamacpp"))];
    let features = [
        ("cuda", cfg!(feature = "cuda")),
        ("cudnn", cfg!(feature = "cudnn")),
        ("flash-attn", cfg!(feature = "flash-attn")),
        ("nccl", cfg!(feature = "nccl")),
        ("metal", cfg!(feature = "metal")),
        ("accelerate", cfg!(feature = "accelerate")),
        ("mkl", cfg!(feature = "mkl")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("rocm", cfg!(feature = "rocm")),
    ];
    let engines: Vec<_> = present(&engines).chain(["simulated"]).collect();
    let features: Vec<_> = present(&features).collect();
    let mut parts = Vec::new();
    parts.extend(commit.map(|commit| format!("commit {commit}")));
    parts.push(format!("engines: {}", engines.join(", ")));
    if !features.is_empty() {
        parts.push(format!("features: {}", features.join(", ")));
    }
    format!("{} ({})", env!("CARGO_PKG_VERSION"), parts.join("; "))
});

fn present(all: &[(&'static str, bool)]) -> impl Iterator<Item = &'static str> {
    all.iter().filter(|(_, is_present)| *is_present).map(|(name, _)| *name)
}
