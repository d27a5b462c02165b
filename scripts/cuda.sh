#!/usr/bin/env bash
# Builds the whole binary with CUDA, for both engines, on a machine with or without a GPU. It
# starts everywhere: without a driver it serves on the CPU. Runs on any x86-64 processor with
# AVX2. Takes about an hour on two cores, or COMPUTE_CAP=90 ENGINES=mistralrs half of that.
#
#   scripts/cuda.sh                         compute capability 80 (Ampere)
#   COMPUTE_CAP=90 scripts/cuda.sh          90 is Hopper, 89 Ada
#   ENGINES=mistralrs scripts/cuda.sh       only one engine
#   LLAMACPP_FLASH_ATTENTION=off …           llama.cpp without FlashAttention's 100 kernels
#
# Writes target/cuda/debug/hostler.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
. scripts/cuda/toolkit.sh

export CUDA_COMPUTE_CAP="${COMPUTE_CAP:-80}"
# llama.cpp: code for one kind of GPU only, or its build takes hours.
export CMAKE_CUDA_ARCHITECTURES="$CUDA_COMPUTE_CAP-real"
export RUSTFLAGS="-C target-cpu=x86-64-v3"
export CARGO_TARGET_DIR="${CUDA_TARGET_DIR:-$target/cuda}"
cargo build --locked -p hostler --no-default-features --features "${ENGINES:-mistralrs,llamacpp},cuda"
say "built $CARGO_TARGET_DIR/debug/hostler for compute capability $CUDA_COMPUTE_CAP"
