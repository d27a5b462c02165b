#!/bin/sh
# Copies only the files that affect how dependencies are built: manifests, the lock file, cargo's
# and CMake's settings, and empty crates in place of ours. While none of them changes, the layer
# with the built dependencies comes from the cache.
#
#   docker/stubs.sh SOURCE DESTINATION
set -eu
from=$1
to=$2
cd "$from"
find . -name Cargo.toml -o -name Cargo.lock -o -path './.cargo/*' -type f -o -name '*.cmake' | while read -r file; do
    mkdir -p "$to/$(dirname "$file")"
    cp "$file" "$to/$file"
done
find crates xtask -name Cargo.toml | while read -r manifest; do
    crate=$(dirname "$manifest")
    mkdir -p "$to/$crate/src"
    if [ -e "$crate/src/main.rs" ]; then
        echo 'fn main() {}' >"$to/$crate/src/main.rs"
    fi
    if [ -e "$crate/src/lib.rs" ]; then
        : >"$to/$crate/src/lib.rs"
    fi
done
