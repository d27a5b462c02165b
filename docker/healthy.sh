#!/bin/bash
# Health check: succeeds if a path of this container's HTTP server answers with 200. bash opens
# the connection itself, so the image needs no HTTP client.
#
#   healthy PATH [PORT]
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${2:-8080}"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3
read -r _ status _ <&3
[ "$status" = 200 ]
