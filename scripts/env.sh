# Sourced by the other scripts: paths and build options. Changes nothing on the machine.

# Tools are pinned prebuilt wheels from PyPI, installed inside the clone.
tools="$PWD/.cache/tools"
export PATH="$tools/bin:$PATH"

# In CI every clone is fresh. Artifacts of dependencies stay valid, so they are kept outside
# the clone; cargo rebuilds the workspace's own crates, whose files are newer.
if [ "${CI:-}" = true ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
    export CARGO_TARGET_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/hostler/target"
fi
target="${CARGO_TARGET_DIR:-target}"

# Every script builds the whole workspace: naming single packages would select other features
# of shared crates, and rebuild the engines.
build="--workspace --locked"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
