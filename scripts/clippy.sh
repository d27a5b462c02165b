#!/usr/bin/env bash
# clippy in place of rustc, with every warning an error. Cargo runs it as
# RUSTC_WORKSPACE_WRAPPER: `clippy.sh /path/to/rustc ARGUMENTS…`.
set -euo pipefail
exec "$("$1" --print sysroot)/bin/clippy-driver" "$@" -D warnings
