#!/usr/bin/env bash
# Measures Hostler with the demo model, over HTTP and streaming: its two engines against
# each other, the llama.cpp engine against llama.cpp's own server on the same file with the
# same threads, and a server with tracing at 10 % against one without. Rounds alternate
# (A B A B), so noise affects both alike. Writes results to $BENCH_OUT as JSON, and prints a
# table for the README. Takes a quarter of an hour on two idle cores.
#
#   REPEATS=5 scripts/bench.sh
#   BENCH_PREFIX="chrt -f 1" scripts/bench.sh    runs everything with real-time priority
#   BENCH_ENGINES=llamacpp scripts/bench.sh      leaves out mistral.rs
#   BENCH_ONLY=tracing scripts/bench.sh          runs one of engines, reference, tracing
#   TRACING_REPEATS=20 scripts/bench.sh          number of rounds with and without tracing
#
# scripts/ladder.sh measures the cost of the layers between client and engine, and
# scripts/agreement.sh compares the results with those of another tool.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/servers.sh

hostler="$target/debug/hostler"
repeats="${REPEATS:-5}"
threads="$(nproc)"
out="${BENCH_OUT:-.cache/bench-results}"
engines="${BENCH_ENGINES:-llamacpp,mistralrs}"
only="${BENCH_ONLY:-engines,reference,tracing}"
mkdir -p "$out"
rm -f "$out"/*.json
"$hostler" model pull smollm2-135m-instruct
model="$("$hostler" model path smollm2-135m-instruct)"

packages() { # installs the other servers
    if ! cmp -s scripts/bench.txt .cache/bench/.installed; then
        python3 -m pip install --quiet --disable-pip-version-check --target .cache/bench --requirement scripts/bench.txt
        cp scripts/bench.txt .cache/bench/.installed
    fi
}
compare() { # NAME A B URL URL OPTIONS…; greedy, because the servers' sampling defaults differ
    say "$1: $2 (A), $3 (B)"
    $prefix "$hostler" bench run --url "$4" --versus "$5" --endpoint completions --temperature 0 \
        --output "$out/$1, $2, $3.json" "${@:6}"
}
# `like` at concurrency 8 is the reference workload: 40 requests, 8 at a time, 50 tokens each.
like=(--prompt-tokens 32 --max-tokens 50)
unlike=(--prompt-tokens 10-200 --max-tokens 10-100)

if [[ "$only" == *engines* && "$engines" == *mistralrs* ]]; then
    serve --engine llamacpp
    llamacpp="$url"
    serve --engine mistralrs
    compare "1 at a time, like" llamacpp mistralrs "$llamacpp" "$url" -c 1 -n 4 --repeats 3 "${like[@]}"
    compare "8 at a time, like" llamacpp mistralrs "$llamacpp" "$url" -c 8 -n 16 --repeats 3 "${like[@]}"
    stop "${servers[-1]}"
    stop "${servers[-2]}"
fi

# The reference: llama.cpp's own server, from a wheel on PyPI.
if [[ "$only" == *reference* ]]; then
    packages
    serve --engine llamacpp
    llamacpp="$url"
    port="$(free_port)"
    PYTHONPATH=.cache/bench GOMP_SPINCOUNT=1000 \
        $prefix python3 scripts/reference_server.py "$model" "$port" "$threads" >/dev/null 2>&1 &
    servers+=($!)
    reference="http://127.0.0.1:$port"
    await $! "$reference/health"
    # Hostler also reuses prefixes, but random prompts share none.
    for load in like unlike; do
        declare -n options=$load
        for concurrency in 1 8; do
            requests=$((concurrency == 1 ? 6 : 40))
            compare "$concurrency at a time, $load" llamacpp llama.cpp "$llamacpp" "$reference" \
                -c "$concurrency" -n "$requests" --repeats "$repeats" "${options[@]}" \
                --versus-extra-body '{"cache_prompt": false}'
        done
    done
    stop "${servers[-1]}"
    stop "${servers[-2]}"
fi

# The cost of tracing. A collector receives the traces of B. The simulated engine leaves most of
# the CPU idle, so any difference is Hostler's own; llama.cpp uses all of it, so any cost shows
# as lost throughput.
if [[ "$only" == *tracing* ]]; then
    packages
    PYTHONPATH=.cache/bench python3 tests/observability/collector.py >"$out/collector.txt" &
    collector=$!
    servers+=("$collector")
    until [ -s "$out/collector.txt" ]; do
        kill -0 "$collector"
        sleep 0.1
    done
    traced() { # ENGINE CONCURRENCY REQUESTS VARIABLE=VALUE…
        local plain
        serve "${@:4}" --engine "$1"
        plain="$url"
        serve "${@:4}" HOSTLER_TRACING__SAMPLE_RATIO=0.1 \
            HOSTLER_TRACING__OTLP_ENDPOINT="$(head -n 1 "$out/collector.txt")" --engine "$1"
        compare "$2 at a time, like" "$1" "$1 traced" "$plain" "$url" -c "$2" -n "$3" \
            --repeats "${TRACING_REPEATS:-10}" "${like[@]}" \
            --server-pid "${servers[-2]}" --versus-pid "${servers[-1]}"
        stop "${servers[-1]}"
        stop "${servers[-2]}"
    }
    # 2 ms a step: 8,000 tokens/s.
    traced simulated 16 800 HOSTLER_SCHEDULER__MAX_BATCH_SIZE=16 \
        'HOSTLER_SCHEDULER__SIMULATED={cost={decode_step_ms=2.0,decode_ms_per_sequence=0.0,prefill_tokens_per_second=1e6}}'
    traced llamacpp 8 40
    stop "$collector"
    say "the collector received $(tail -n 1 "$out/collector.txt") spans"
    # The cost of metrics, which cannot be switched off.
    cargo build $build --quiet --example recording_cost
    "$target/debug/examples/recording_cost"
fi

say "for the README (also in $out/table.md)"
python3 scripts/bench_table.py "$out" | tee "$out/table.md"
