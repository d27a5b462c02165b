#!/usr/bin/env bash
# Checks the code without running it: formatting, spelling, licences, layout, lints.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# Every step runs, even after a failure, so that one run reports every problem.
failed=()
step() {
    local started=$SECONDS name=$1
    shift
    say "check: $name"
    "$@" || failed+=("$name")
    say "       $((SECONDS - started)) s"
}

# `cargo clippy` is `cargo check` with clippy in place of rustc for our own crates. Its
# artifacts of dependencies are not those of a build, and mistral.rs alone takes minutes
# to check. So this runs a *build* with clippy in place of rustc, which shares the
# dependencies with `make run` and `make test`. Our own crates are only linted here, so
# they are not optimised.
lint() {
    CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/clippy.sh" \
        cargo build $build --all-targets --keep-going
}

# Proves that the wrapper lints: without it a change in clippy's driver would let every
# lint pass unnoticed.
planted_lint_is_found() {
    local output
    mkdir -p "$target"
    if output="$(echo 'pub fn planted(x: bool) -> bool { x == true }' | scripts/clippy.sh rustc - \
        --crate-name planted --crate-type lib --emit metadata --out-dir "$target" 2>&1)"; then
        echo 'scripts/clippy.sh accepts code that clippy::bool_comparison must refuse' >&2
        return 1
    elif [[ "$output" != *bool-comparison* ]]; then
        printf 'scripts/clippy.sh failed for another reason than its lint:\n%s\n' "$output" >&2
        return 1
    fi
}

step "format" cargo fmt --all --check
step "spelling" typos
step "dependencies: licences, bans, sources" cargo deny --log-level error check licenses bans sources
step "layout" cargo run --quiet --locked --package xtask -- check-layout
step "one build of each dependency" cargo run --quiet --locked --package xtask -- check-features
step "a planted lint is found" planted_lint_is_found
step "lints" lint

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
