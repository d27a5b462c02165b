# Sourced by the other scripts: where things are. Nothing here changes the machine.

# Tools come from PyPI as prebuilt wheels, pinned, and stay inside the clone.
tools="$PWD/.cache/tools"
export PATH="$tools/bin:$PATH"

# In CI every clone is fresh. Dependencies do not change with it, so their artifacts
# may outlive it; cargo rebuilds what belongs to the clone, whose files are newer.
if [ "${CI:-}" = true ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
    export CARGO_TARGET_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/hostler/target"
fi
target="${CARGO_TARGET_DIR:-target}"

# What is built, and with which features, is the same everywhere: naming single
# packages would select other features of shared crates, and build the engines again.
build="--workspace --locked"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
