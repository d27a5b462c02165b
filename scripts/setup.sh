#!/usr/bin/env bash
# Installs what a fresh Debian machine with Rust, Python 3 with pip, git, gcc and make lacks.
# Returns quickly if everything is installed.
#
#   scripts/setup.sh build   Debian packages for building and running
#   scripts/setup.sh check   also linters
#   scripts/setup.sh test    also the tests' programs and Python packages
#   scripts/setup.sh long    also the packages of the long tests
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

# --- Debian packages: the C++ build of llama.cpp, libclang for bindgen, which reads its headers,
# and the compiler of the protobuf definitions of etcd and the workers.
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need cmake cmake
need g++ g++
need pkg-config pkg-config
need protoc protobuf-compiler
[ -e /usr/include/google/protobuf/descriptor.proto ] || missing+=(libprotobuf-dev)
need python3 python3
python3 -c 'import pip' 2>/dev/null || missing+=(python3-pip)
# bindgen needs libclang and its headers; libclang-cpp, which other packages install, is not enough.
if [ -z "${LIBCLANG_PATH:-}" ] && ! compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null; then
    missing+=(libclang-dev)
fi
# The tests run Prometheus and etcd.
if [ "${1:-}" = test ] || [ "${1:-}" = long ]; then
    need promtool prometheus
    need etcd etcd-server
fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # Installs services without starting them: Debian asks policy-rc.d before it starts a
        # service. An existing policy is kept.
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

# --- Python packages, in a folder inside the clone: needs neither root nor a virtual
# environment, and changes nothing in the system, so Debian's pip allows it.
install() { # FOLDER REQUIREMENTS
    # Wheels with compiled parts work with one Python version only.
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
# --- Chat templates of published models, from an archive that is checked by its hash.
templates() { # FOLDER REQUIREMENTS
    if [ "$(cat "$2")" != "$(cat "$1/.installed" 2>/dev/null)" ]; then
        say "fetching chat templates"
        rm -rf "$1"
        mkdir -p "$1/archive"
        PIP_ROOT_USER_ACTION=ignore python3 -m pip download --quiet --disable-pip-version-check --no-deps \
            --no-binary llama-cpp-python --require-hashes --dest "$1/archive" --requirement "$2"
        tar -xzf "$1"/archive/*.tar.gz -C "$1" --wildcards '*/vendor/llama.cpp/models/templates/*.jinja' \
            --strip-components=5
        rm -rf "$1/archive"
        cat "$2" >"$1/.installed"
    fi
}
case "${1:-build}" in
build) ;;
check) install "$tools" scripts/tools.txt ;;
test | long)
    install "$tools" scripts/tools.txt
    install .cache/e2e tests/e2e/requirements.txt
    install .cache/observability tests/observability/requirements.txt
    templates .cache/templates tests/templates/requirements.txt
    if [ "$1" = long ]; then
        install .cache/routers tests/e2e/routers.txt
    fi
    ;;
*)
    say "usage: scripts/setup.sh build|check|test|long"
    exit 2
    ;;
esac
