#!/usr/bin/env bash
# Runs the tests whose length is configurable, for as long as is useful.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

cargo build $build --bins
hostler="$(realpath "$target")/debug/hostler"
export HOSTLER_BIN="$hostler"
"$hostler" model pull smollm2-135m-instruct
HOSTLER_TEST_MODEL="$("$hostler" model path smollm2-135m-instruct)"
export HOSTLER_TEST_MODEL

HOSTLER_BATCHED_PROMPTS=50 cargo nextest run $build -E 'test(answers_are_the_same_alone_and_in_batches)'
HOSTLER_FAULT_SECONDS=1200 HOSTLER_HOSTILE_SECONDS=200 PYTHONPATH=.cache/e2e PYTHONNOUSERSITE=1 \
    python3 -m pytest -p no:cacheprovider tests/e2e/test_routers.py tests/e2e/test_faults.py tests/e2e/test_hostile_client.py
