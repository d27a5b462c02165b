#!/usr/bin/env bash
# Installs what a fresh Debian machine with Rust, Python 3 with pip, git, gcc and make
# lacks. Does nothing, quickly, when all is there.
#
#   scripts/setup.sh build   to build and run      (Debian packages)
#   scripts/setup.sh check   to check as well      (and linters)
#   scripts/setup.sh test    to test as well       (and the tests' Python packages)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# --- Debian packages: the C++ side of llama.cpp, bindgen, which reads its headers, and
# the compiler of the definitions that etcd and the workers speak by.
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need cmake cmake
need g++ g++
need pkg-config pkg-config
need protoc protobuf-compiler
[ -e /usr/include/google/protobuf/descriptor.proto ] || missing+=(libprotobuf-dev)
need python3 python3
python3 -c 'import pip' 2>/dev/null || missing+=(python3-pip)
# Not libclang-cpp, which other packages bring; and bindgen needs the headers beside it.
if [ -z "${LIBCLANG_PATH:-}" ] && ! compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null; then
    missing+=(libclang-dev)
fi
# The tests look at metrics with a real Prometheus, and form clusters by a real etcd.
if [ "${1:-}" = test ]; then
    need promtool prometheus
    need etcd etcd-server
fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # Installed, but not started as services of the machine: what Debian asks before it
        # starts one says no, unless somebody has settled that already.
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod +x /usr/sbin/policy-rc.d
        fi
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "missing: ${missing[*]}. On Debian: sudo apt-get install ${missing[*]}"
        exit 1
    fi
fi

# --- Python packages, in a folder of their own: no root, no virtual environment, and
# nothing of the system's is touched, so that Debian's pip allows it too.
install() { # FOLDER REQUIREMENTS
    # Wheels with compiled parts are for one Python.
    local wanted
    wanted="$(python3 --version; cat "$2")"
    if [ "$wanted" != "$(cat "$1/.installed" 2>/dev/null)" ]; then
        say "installing $(grep -v '^#' "$2" | tr '\n' ' ')"
        rm -rf "$1"
        PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
            --no-warn-conflicts --target "$1" --requirement "$2"
        printf '%s\n' "$wanted" >"$1/.installed"
    fi
}
case "${1:-build}" in
build) ;;
check) install "$tools" scripts/tools.txt ;;
test)
    install "$tools" scripts/tools.txt
    install .cache/e2e tests/e2e/requirements.txt
    install .cache/observability tests/observability/requirements.txt
    ;;
*)
    say "usage: scripts/setup.sh build|check|test"
    exit 2
    ;;
esac
