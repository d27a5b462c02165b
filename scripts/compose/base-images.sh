#!/usr/bin/env bash
# Builds the base images that compose.yaml and docker/Dockerfile name, from Debian's packages
# and this machine's Rust toolchain, for machines that reach no image registry. Images that
# already exist are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/env.sh

has() { docker image inspect "$1" >/dev/null 2>&1; }
argument() { sed -n "s/^ARG $1=//p" docker/Dockerfile; }
debian="debian:$(argument DEBIAN_VERSION)-slim"
rust="rust:$(argument RUST_VERSION)-bookworm"
prometheus="$(sed -n 's/^ *image: *\(prom\/prometheus:.*\)/\1/p' compose.yaml)"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# As small as Debian's own slim image.
if ! has "$debian"; then
    say "building $debian"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" || {
        tail -n 20 "$work/log"
        exit 1
    }
    rm -rf "$work"/root/usr/share/{doc,man,locale,info}/* "$work"/root/var/lib/apt/lists/* "$work"/root/var/cache/apt/*
    # Like there, apt keeps neither packages nor its caches.
    cat >"$work/root/etc/apt/apt.conf.d/docker-clean" <<'APT'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT
    # The images trust the certificates that this machine trusts.
    cp -L /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    tar -C "$work/root" -c . | docker import --change 'CMD ["bash"]' - "$debian" >/dev/null
fi

if ! has "$rust"; then
    say "building $rust"
    toolchain="$(rustc --print sysroot)"
    mkdir "$work/rust"
    tar -C "$toolchain" -c --exclude=./share --exclude=./lib/rustlib/src . | tar -x -C "$work/rust"
    docker build --quiet --tag "$rust" --file - "$work/rust" >/dev/null <<DOCKERFILE
FROM $debian
RUN apt-get update && apt-get install -y --no-install-recommends build-essential git && rm -rf /var/lib/apt/lists/*
COPY . /usr/local
DOCKERFILE
fi

if ! has "$prometheus"; then
    say "building $prometheus"
    docker build --quiet --tag "$prometheus" - >/dev/null <<DOCKERFILE
FROM $debian
RUN apt-get update && apt-get install -y --no-install-recommends prometheus busybox && rm -rf /var/lib/apt/lists/* \
    && ln -s busybox /bin/wget && install -d -o nobody -g nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
DOCKERFILE
fi
