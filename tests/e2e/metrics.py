"""Reads `/metrics`."""

import time

import httpx

GAUGES = (
    "hostler_scheduler_requests_running",
    "hostler_scheduler_requests_waiting",
    "hostler_scheduler_kv_reserved_tokens",
    "hostler_router_requests_in_flight",
    "hostler_http_requests_in_flight",
)


def read(url: str) -> dict[str, float]:
    """Every metric, summed over its labels."""
    sums: dict[str, float] = {}
    for line in httpx.get(f"{url}/metrics", timeout=30).text.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def gauges(url: str) -> dict[str, float]:
    metrics = read(url)
    return {name: metrics.get(name, 0.0) for name in GAUGES}


def running(url: str) -> float:
    return read(url).get("hostler_scheduler_requests_running", 0.0)


def waiting(url: str) -> float:
    return read(url).get("hostler_scheduler_requests_waiting", 0.0)


def wait_until(condition, what: str, seconds: float = 30.0) -> float:
    """Waits for a condition and returns the seconds that it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"timed out after {seconds} s: {what}")
        time.sleep(0.002)
    return time.monotonic() - started


def wait_idle(url: str) -> None:
    """Waits until no request is running or queued."""
    wait_until(lambda: running(url) == 0 and waiting(url) == 0, "an idle server")
