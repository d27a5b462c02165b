"""Malformed requests are refused with the name of the field, and leak nothing."""

import collections

import httpx

import malformed
import metrics
from server import Server

COUNT = 200

# The allocator retains some freed memory.
GROWTH_BYTES_MAX = 16 * 1024 * 1024


def send(http: httpx.Client, requests: list[malformed.Malformed]) -> collections.Counter:
    kinds: collections.Counter = collections.Counter()
    for request in requests:
        response = http.post("/v1/chat/completions", content=request.body, headers={"content-type": "application/json"})
        shown = f"{request.kind} {request.body[:200]!r}: {response.text[:300]}"
        assert response.status_code == request.status, shown
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error", shown
        assert (error["param"] or "").startswith(request.field), shown
        assert request.field in error["message"], shown
        kinds[request.kind] += 1
    return kinds


def test_malformed_requests_leak_nothing(server: Server, http: httpx.Client) -> None:
    good = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    assert http.post("/v1/chat/completions", json=good).status_code == 200
    # A first pass, after which one-time allocations exist.
    send(http, malformed.requests(seed=1, count=COUNT))
    metrics.wait_idle(server.url)
    before, resident = metrics.gauges(server.url), server.resident_bytes()

    kinds = send(http, malformed.requests(seed=2, count=COUNT))
    assert sum(kinds.values()) == COUNT
    assert len(kinds) == 13, kinds

    assert metrics.gauges(server.url) == before
    grown = server.resident_bytes() - resident
    assert grown <= GROWTH_BYTES_MAX, f"{grown / 2**20:.1f} MiB more than before"
    assert http.post("/v1/chat/completions", json=good).status_code == 200
