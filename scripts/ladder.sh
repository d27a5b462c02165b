#!/usr/bin/env bash
# Measures the cost of each layer between client and engine, and of `POST /benchmark`, on one
# server: every round measures each rung of the ladder once, and then `/benchmark` with its
# defaults (40 requests, 8 at a time, 50 tokens). Writes results to $BENCH_OUT/ladder as JSON,
# and prints the ratios within the rounds. Takes half an hour for both engines on two idle
# cores, most of it for mistral.rs.
#
#   scripts/ladder.sh                            llamacpp and mistralrs, five rounds
#   BENCH_ENGINES=simulated scripts/ladder.sh    2,000 tokens/s at 5 ms a step
#   REPEATS=9 BENCH_REQUESTS=16 scripts/ladder.sh
#   HOSTLER_BIN=path scripts/ladder.sh           another binary
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/servers.sh

hostler="${HOSTLER_BIN:-$target/debug/hostler}"
repeats="${REPEATS:-5}"
requests="${BENCH_REQUESTS:-40}"
engines="${BENCH_ENGINES:-llamacpp,mistralrs}"
out="${BENCH_OUT:-.cache/bench-results}/ladder"
rm -rf "$out"
mkdir -p "$out"

configuration() { # ENGINE
    if [ "$1" = simulated ]; then
        printf '[scheduler]\nengine = "simulated"\nmodel = "simulated"\nmax_batch_size = 10\nisolation = "thread"\n'
        printf '[scheduler.simulated]\nmax_sequences = 10\n[scheduler.simulated.cost]\ndecode_step_ms = 5.0\n'
        printf 'decode_ms_per_sequence = 0.0\nprefill_tokens_per_second = inf\n'
    else
        printf '[scheduler]\nengine = "%s"\nmodel = "smollm2-135m-instruct"\n' "$1"
        printf 'max_batch_size = 8\nmax_context_length = 2048\nisolation = "thread"\n'
    fi
    # The engine rung exists only if the engine runs in the server's process.
}

for engine in ${engines//,/ }; do
    folder="$out/$engine"
    mkdir -p "$folder"
    configuration "$engine" >"$folder/hostler.toml"
    if [ "$engine" = simulated ]; then concurrency=10; else concurrency=8; fi
    [ "$engine" = simulated ] || "$hostler" model pull smollm2-135m-instruct
    serve --config "$folder/hostler.toml"
    for round in $(seq "$repeats"); do
        say "$engine: round $round of $repeats"
        $prefix "$hostler" bench ladder --url "$url" --min-serving 0 --repeats 1 --seed "$round" \
            --layers engine,scheduler,grpc,router,http,http-stream \
            -c "$concurrency" -n "$requests" --output "$folder/ladder-$round.json" >/dev/null
        python3 -c '
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"content-type": "application/json"})
sys.stdout.buffer.write(urllib.request.urlopen(request).read())' "$url/benchmark" \
            "{\"requests\": $requests, \"concurrency\": $concurrency}" >"$folder/benchmark-$round.json"
    done
    stop "${servers[-1]}"
done
python3 scripts/ladder_table.py "$out" | tee "$out/table.md"
