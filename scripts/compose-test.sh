#!/usr/bin/env bash
# Starts the services of compose.yaml, tests them with a failing worker, and stops them. Needs
# root, to start a Docker daemon if none is running, and Debian's docker.io, docker-compose and
# debootstrap, which it installs.
#
#   DOCKER_STATE=FOLDER scripts/compose-test.sh    keeps the daemon's images in another folder
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v docker-compose >/dev/null || missing+=(docker-compose)
command -v debootstrap >/dev/null || missing+=(debootstrap)
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export COMPOSE_PROJECT_NAME=hostler-test
export GATEWAY_PORT="${GATEWAY_PORT:-18080}" PROMETHEUS_PORT="${PROMETHEUS_PORT:-19090}"
# Without Grafana: Debian does not package it, so its image cannot be built here.
services=(etcd model worker-1 worker-2 gateway prometheus)

daemon=""
state="${DOCKER_STATE:-$PWD/.cache/docker}"
finish() {
    docker-compose down --volumes --timeout 45 || true
    if [ -n "$daemon" ]; then
        kill "$daemon"
        wait "$daemon" 2>/dev/null || true
    fi
}
trap finish EXIT
if ! docker info >/dev/null 2>&1; then
    say "compose: starting a Docker daemon in $state"
    mkdir -p "$state"
    export DOCKER_HOST="unix://$state/docker.sock"
    dockerd --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/docker.pid" \
        --host "$DOCKER_HOST" >"$state/dockerd.log" 2>&1 &
    daemon=$!
    until docker info >/dev/null 2>&1; do
        kill -0 "$daemon" || { tail -n 20 "$state/dockerd.log"; exit 1; }
        sleep 0.2
    done
fi

# Images that cannot be pulled are built.
docker pull --quiet "debian:$(sed -n 's/^ARG DEBIAN_VERSION=//p' docker/Dockerfile)-slim" >/dev/null 2>&1 ||
    scripts/compose/base-images.sh

say "compose: images"
# Gateway and workers share one image.
docker-compose build etcd model gateway
docker image ls
size="$(docker image inspect --format '{{.Size}}' hostler:0.1.0)"
[ "$size" -lt 200000000 ] || { say "the image has $size bytes; the limit is 200 MB"; exit 1; }

say "compose: up"
docker-compose up --detach "${services[@]}"
python3 scripts/compose/use.py "http://127.0.0.1:$GATEWAY_PORT" "http://127.0.0.1:$PROMETHEUS_PORT" || {
    docker-compose ps
    docker-compose logs --tail 20
    exit 1
}
say "compose: passed"
