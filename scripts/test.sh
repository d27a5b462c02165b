#!/usr/bin/env bash
# Runs every test. `scripts/test.sh quick` leaves out the engines and tests that need a model.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

if [ "${1:-}" = quick ]; then
    # Builds with other features, so it has its own target folder. Never builds an engine.
    exec env CARGO_TARGET_DIR="$target/quick" cargo nextest run --locked --workspace --no-default-features \
        --exclude hostler-executor-mistralrs --exclude hostler-executor-llamacpp
fi

profile=default
if [ "${CI:-}" = true ]; then
    profile=ci
fi

say "test: build"
cargo build $build --bins
hostler="$PWD/$target/debug/hostler"
case "$target" in /*) hostler="$target/debug/hostler" ;; esac
export HOSTLER_BIN="$hostler"

say "test: the demo model"
"$hostler" model pull smollm2-135m-instruct
HOSTLER_TEST_MODEL="$("$hostler" model path smollm2-135m-instruct)"
export HOSTLER_TEST_MODEL

# Every step runs, even after a failure, so that one run reports every problem.
failed=()
step() {
    local name=$1
    shift
    say "test: $name"
    "$@" || failed+=("$name")
}

step "Rust" env HOSTLER_TEMPLATES="$PWD/.cache/templates" PYTHONPATH="$PWD/.cache/e2e" cargo nextest run $build --profile "$profile"
step "documentation examples" cargo test $build --doc --quiet
step "end to end" env PYTHONPATH=.cache/e2e PYTHONNOUSERSITE=1 \
    python3 -m pytest -p no:cacheprovider tests/e2e
step "observability: metrics, dashboards, alerts, traces" env PYTHONPATH=.cache/observability \
    PYTHONNOUSERSITE=1 python3 -m pytest -p no:cacheprovider tests/observability

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
