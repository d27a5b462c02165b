#!/bin/bash
# Whether a path of the HTTP server in this container answers with 200: what health checks
# ask. bash opens connections itself, so that the image needs no client.
#
#   healthy PATH [PORT]
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${2:-8080}"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3
read -r _ status _ <&3
[ "$status" = 200 ]
