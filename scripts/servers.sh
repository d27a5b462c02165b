# Sourced by the benchmark scripts: starts servers, and stops them when the script ends. The
# script sets $hostler, and may set $prefix, with which every server command starts.

prefix="${BENCH_PREFIX:-}"
servers=()
trap 'for server in "${servers[@]}"; do kill -TERM "$server" 2>/dev/null || true; done; wait' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() { # PID URL
    until python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$2" 2>/dev/null; do
        kill -0 "$1" || { say "a server exited before it was ready"; exit 1; }
    done
}
serve() { # [VARIABLE=VALUE…] OPTIONS of `hostler serve`…; sets url
    local port variables=()
    while [[ "${1:-}" == [A-Z]*=* ]]; do
        variables+=("$1")
        shift
    done
    port="$(free_port)"
    $prefix env "${variables[@]}" "$hostler" serve "$@" --address "127.0.0.1:$port" --log-filter error >/dev/null &
    servers+=($!)
    url="http://127.0.0.1:$port"
    await $! "$url/readyz"
}
stop() { # PID
    kill -TERM "$1"
    wait "$1" || true
}
