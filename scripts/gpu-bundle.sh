#!/usr/bin/env bash
# Packs one archive that proves and measures Hostler on a machine with an NVIDIA GPU, Python and
# PyTorch for CUDA 13, without network. scripts/gpu/run.py says what it does. Requires the build
# of scripts/cuda.sh.
#
#   COMPUTE_CAP=90 scripts/cuda.sh && scripts/gpu-bundle.sh gpu-bundle.tar.xz
#   BUNDLE_BIN=target/debug/hostler scripts/gpu-bundle.sh cpu-bundle.tar.xz     another binary
#
# On the other machine:  tar xf gpu-bundle.tar.xz && python3 hostler-gpu/run.py
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

archive="${1:-gpu-bundle.tar.xz}"
binary="${BUNDLE_BIN:-${CUDA_TARGET_DIR:-$target/cuda}/debug/hostler}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
folder="$work/hostler-gpu"
mkdir "$folder"
strip -o "$folder/hostler" "$binary"
cp scripts/gpu/{run,models,server,report}.py "$folder"
if ! cmp -s scripts/gpu/requirements.txt .cache/gpu/.installed; then
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
        --target .cache/gpu --requirement scripts/gpu/requirements.txt
    cp scripts/gpu/requirements.txt .cache/gpu/.installed
fi
# Pure Python; the other machine's Python has what it needs.
mkdir "$folder/packages"
cp -r .cache/gpu/gguf "$folder/packages"
rm -rf "$folder/packages/gguf/scripts"
"$binary" model pull smollm2-135m-instruct >/dev/null
PYTHONPATH=.cache/gpu python3 scripts/gpu/tokenizer.py "$("$binary" model path smollm2-135m-instruct)" "$folder"
find "$folder" -name __pycache__ -prune -exec rm -rf {} +
tar -C "$work" -cf - hostler-gpu | xz -T0 -6 >"$archive"
say "$archive: $(($(stat -c %s "$archive") / 1000000)) MB, of which the binary is $(($(stat -c %s "$folder/hostler") / 1000000)) MB unpacked"
