#!/usr/bin/env bash
# Compares `hostler bench run` with an independent tool, aiperf from PyPI: both measure the same
# load on the same server in turn. Prints TTFT, TPOT and tokens/s of both and their ratios, and
# fails if a median ratio differs from 1 by more than 5 %. Takes ten minutes on two idle cores.
#
#   scripts/agreement.sh                            simulated and llamacpp, five rounds
#   REPEATS=9 BENCH_ENGINES=simulated scripts/agreement.sh
#   HOSTLER_BIN=path scripts/agreement.sh           another binary
#   BENCH_PREFIX="chrt -f 1" nice -n -15 scripts/agreement.sh      on a busy machine: the server
#                                                   with real-time priority, the tools with high
#
# If there are two cores, the load generators and the server get one each: a generator that
# competes with the server for a core changes the result, and the two tools need unequal shares.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/servers.sh

hostler="${HOSTLER_BIN:-$target/debug/hostler}"
repeats="${REPEATS:-5}"
engines="${BENCH_ENGINES:-simulated,llamacpp}"
out="${BENCH_OUT:-.cache/bench-results}/agreement"
concurrency=8 requests=64 prompt_tokens=32 max_tokens=50
rm -rf "$out"
mkdir -p "$out"

tool=.cache/agreement
if ! cmp -s scripts/agreement.txt "$tool/.installed"; then
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --no-warn-conflicts --upgrade --target "$tool" --requirement scripts/agreement.txt
    cp scripts/agreement.txt "$tool/.installed"
fi

# aiperf requires a tokenizer, and would download one. The server counts the tokens for both
# tools, so a tokenizer without a vocabulary is enough.
words="$PWD/$out/words"
case "$out" in /*) words="$out/words" ;; esac
mkdir -p "$words"
echo '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "?"}' >"$words/tokenizer_config.json"
cat >"$words/tokenizer.json" <<'JSON'
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
 "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
 "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}
JSON

client=()
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
    client=(taskset -c 1)
fi

# Each run has its own prompts, so that no run profits from cached prefixes.
prompts() { # SEED FILE
    python3 - "$1" "$2" "$((requests + concurrency))" "$prompt_tokens" <<'PYTHON'
import json, random, sys
seed, path, count, length = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
words = "time year people way day man thing woman life child world school state family hand part place".split()
rng = random.Random(seed)
lines = [" ".join(rng.choices(words, k=length)) for _ in range(count)]
open(path + ".txt", "w").writelines(line + "\n" for line in lines)
open(path + ".jsonl", "w").writelines(json.dumps({"text": line}) + "\n" for line in lines)
PYTHON
}

configuration() { # ENGINE
    if [ "$1" = simulated ]; then
        printf '[scheduler]\nengine = "simulated"\nmodel = "simulated"\n'
        printf '[scheduler.simulated.cost]\ndecode_step_ms = 20.0\ndecode_ms_per_sequence = 0.5\n'
        printf 'prefill_tokens_per_second = 2000\n'
    else
        printf '[scheduler]\nengine = "%s"\nmodel = "smollm2-135m-instruct"\n' "$1"
        printf 'max_batch_size = 8\nmax_context_length = 2048\n'
        [ ${#client[@]} = 0 ] || printf 'device = "cpu:0"\nisolation = "thread"\n'
    fi
}

for engine in ${engines//,/ }; do
    folder="$out/$engine"
    mkdir -p "$folder"
    configuration "$engine" >"$folder/hostler.toml"
    [ "$engine" = simulated ] || "$hostler" model pull smollm2-135m-instruct
    if [ "$engine" = simulated ]; then model=simulated; else model=smollm2-135m-instruct; fi
    serve --config "$folder/hostler.toml"
    for round in $(seq "$repeats"); do
        say "$engine: round $round of $repeats"
        prompts "$((round * 2))" "$folder/ours-$round"
        "${client[@]}" "$hostler" bench run --url "$url" --temperature 0 --max-tokens "$max_tokens" \
            -c "$concurrency" -n "$requests" --warm-up "$concurrency" \
            --prompt-file "$folder/ours-$round.txt" --output "$folder/ours-$round.json" >/dev/null
        prompts "$((round * 2 + 1))" "$folder/aiperf-$round"
        PYTHONPATH="$tool" "${client[@]}" python3 -m aiperf profile --url "$url" --model "$model" \
            --endpoint-type chat --streaming --use-server-token-count --tokenizer "$words" \
            --input-file "$folder/aiperf-$round.jsonl" --custom-dataset-type single_turn \
            --dataset-sampling-strategy sequential \
            --concurrency "$concurrency" --request-count "$requests" --warmup-request-count "$concurrency" \
            --extra-inputs "max_tokens:$max_tokens" --extra-inputs ignore_eos:true --extra-inputs temperature:0 \
            --ui none --no-server-metrics --no-gpu-telemetry --workers-max 1 \
            --artifact-dir "$folder/aiperf-$round" >"$folder/aiperf-$round.log" 2>&1 \
            || { tail -n 40 "$folder/aiperf-$round.log"; exit 1; }
    done
    stop "${servers[-1]}"
done
python3 scripts/agreement_table.py "$out" | tee "$out/table.md"
