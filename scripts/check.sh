#!/usr/bin/env bash
# Everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# All steps run, so that one look shows all that is wrong.
failed=()
step() {
    local begun=$SECONDS name=$1
    shift
    say "check: $name"
    "$@" || failed+=("$name")
    say "       $((SECONDS - begun)) s"
}

# `cargo clippy` is `cargo check` with clippy in place of rustc for our own crates.
# Its artifacts of dependencies are not those of a build, and mistral.rs alone takes
# minutes to check. So we ask for a *build* with clippy in place of rustc: it shares
# the dependencies with `make run` and `make test`. Our own crates are only linted
# here, hence not optimised.
lint() {
    CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 \
        RUSTC_WORKSPACE_WRAPPER="$(rustc --print sysroot)/bin/clippy-driver" \
        CLIPPY_ARGS="-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__" \
        cargo build $build --all-targets --keep-going
}

step "format" cargo fmt --all --check
step "spelling" typos
step "dependencies: licences, bans, sources" cargo deny --log-level error check licenses bans sources
step "layout" cargo run --quiet --locked --package xtask -- check-layout
step "one build of each dependency" cargo run --quiet --locked --package xtask -- check-features
step "lints" lint

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
