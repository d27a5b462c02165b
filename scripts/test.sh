#!/usr/bin/env bash
# Every test. `scripts/test.sh quick` leaves out the engines and what needs a model.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

if [ "${1:-}" = quick ]; then
    # Other features, hence a folder of its own; it never builds an engine.
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

# The rest runs to its end, so that one run shows all that is wrong.
failed=()
step() {
    local name=$1
    shift
    say "test: $name"
    "$@" || failed+=("$name")
}

step "Rust" cargo nextest run $build --profile "$profile"
step "examples in the documentation" cargo test $build --doc --quiet
step "end to end, over HTTP" env PYTHONPATH=.cache/e2e PYTHONNOUSERSITE=1 \
    python3 -m pytest -p no:cacheprovider tests/e2e
step "what is seen from outside: metrics, dashboards, alerts, traces" env PYTHONPATH=.cache/observability \
    PYTHONNOUSERSITE=1 python3 -m pytest -p no:cacheprovider tests/observability

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
