"""Compares the server's metrics of a known load with what the clients measured."""

import json
import re
import subprocess
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import metrics
from conftest import binary
from load import Seen, ask
from raw import RawStream
from server import Server

REQUESTS = 120
CONCURRENCY = 8
DISCONNECTS = 5
# Slow enough that the client's own overhead is negligible.
SETTINGS = """
[scheduler.simulated.cost]
prefill_tokens_per_second = 400
decode_step_ms = 20
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary(), "simulated", "truth", tmp_path_factory.mktemp("truth"), SETTINGS).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def seen(server: Server) -> list[Seen]:
    """Answers of different lengths, so that distributions can be compared."""

    def one(index: int) -> Seen:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            return ask(client, "truth", words=5 + index % 50, max_tokens=4 + index * 7 % 40)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        seen = list(pool.map(one, range(REQUESTS)))
    metrics.wait_idle(server.url)
    return seen


def series(url: str, name: str, contains: str = "") -> float:
    """The sum of a metric's series whose labels contain a text."""
    line = re.compile(rf"^{name}(?:{{(.*)}})? (\S+)$", re.MULTILINE)
    return sum(float(value) for labels, value in line.findall(httpx.get(f"{url}/metrics").text) if contains in labels)


def histogram(url: str, name: str) -> tuple[list[float], list[float]]:
    """The upper bounds of the buckets, and the cumulative count of each."""
    counts: dict[float, float] = {}
    for bound, value in re.findall(rf'^{name}_bucket{{.*le="([^"]+)".*}} (\S+)$', httpx.get(f"{url}/metrics").text, re.M):
        counts[float(bound)] = counts.get(float(bound), 0.0) + float(value)
    bounds = sorted(counts)
    return bounds, [counts[bound] for bound in bounds]


def assert_within_a_bucket(url: str, name: str, share: float, value: float, count: int) -> None:
    """Asserts that a quantile of a histogram is at most one bucket away from `value`."""
    bounds, counts = histogram(url, name)
    assert counts[-1] == count
    theirs = next(index for index, counted in enumerate(counts) if counted >= share * count)
    ours = bisect_left(bounds, value)
    assert abs(theirs - ours) <= 1, f"{name}: the client measured {value:.4f} s, the histogram says up to {bounds[theirs]} s"


def test_requests_and_tokens_agree_exactly(server: Server, seen: list[Seen]):
    assert all(answer.status == 200 and answer.tokens > 0 for answer in seen)
    url, tokens = server.url, sum(answer.tokens for answer in seen)
    prompt_tokens = sum(answer.prompt_tokens for answer in seen)
    assert series(url, "hostler_gateway_requests_total", 'outcome="success"') == REQUESTS
    assert series(url, "hostler_gateway_requests_total") == REQUESTS
    assert series(url, "hostler_gateway_generation_tokens_total") == tokens
    assert series(url, "hostler_gateway_prompt_tokens_total") == prompt_tokens
    assert series(url, "hostler_scheduler_requests_total") == REQUESTS
    assert series(url, "hostler_scheduler_generation_tokens_total") == tokens
    assert series(url, "hostler_scheduler_prompt_tokens_total") == prompt_tokens
    # Each token but the first of an answer ends one inter-token gap.
    assert series(url, "hostler_scheduler_inter_token_seconds_count") == tokens - REQUESTS
    assert series(url, "hostler_scheduler_request_generation_tokens_sum") == tokens
    for name in ("gateway_time_to_first_token", "gateway_request", "scheduler_request", "scheduler_queue"):
        assert series(url, f"hostler_{name}_seconds_count") == REQUESTS, name


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "name, of",
    [
        ("hostler_gateway_time_to_first_token_seconds", lambda answer: answer.first_token_seconds),
        ("hostler_gateway_request_seconds", lambda answer: answer.seconds),
        ("hostler_scheduler_request_seconds", lambda answer: answer.seconds),
    ],
)
def test_distributions_agree_within_a_bucket(server: Server, seen: list[Seen], name: str, of, share: float):
    values = sorted(of(answer) for answer in seen)
    assert_within_a_bucket(server.url, name, share, values[int(share * len(values))], len(values))


def test_sums_agree_with_the_clients_times(server: Server, seen: list[Seen]):
    """The client's times are longer than the server's, but not by much."""
    client = sum(answer.seconds for answer in seen)
    gateway = series(server.url, "hostler_gateway_request_seconds_sum")
    scheduler = series(server.url, "hostler_scheduler_request_seconds_sum")
    assert scheduler <= gateway <= client * 1.01
    assert scheduler > client * 0.5


def test_disconnects_are_counted_as_cancelled(server: Server, seen: list[Seen]):
    url = server.url
    body = {"model": "truth", "prompt": "hello", "max_tokens": 2000, "stream": True}
    for _ in range(DISCONNECTS):
        with RawStream(url, "/generate", body) as stream:
            stream.read_events(3)
    cancelled = lambda metric: series(url, metric, 'outcome="cancelled"')  # noqa: E731
    metrics.wait_until(lambda: cancelled("hostler_gateway_requests_total") == DISCONNECTS, "the gateway's count")
    metrics.wait_until(lambda: cancelled("hostler_scheduler_requests_total") == DISCONNECTS, "the scheduler's count")
    assert series(url, "hostler_http_disconnects_total", 'route="/generate"') == DISCONNECTS
    metrics.wait_idle(url)
    assert series(url, "hostler_scheduler_kv_reserved_tokens") == 0


@pytest.mark.parametrize(
    "how, first_token",
    [
        ([], "hostler_gateway_time_to_first_token_seconds"),
        (["--claim", "--min-serving", "0"], "hostler_scheduler_time_to_first_token_seconds"),
    ],
    ids=["as a client", "by claim"],
)
def test_the_medians_of_a_benchmark_agree_within_a_bucket(tmp_path: Path, how: list[str], first_token: str):
    """Uses its own server and no warm-up, so that the histograms contain only the benchmark."""
    server = Server(binary(), "simulated", "truth", tmp_path, SETTINGS).start()
    try:
        result = tmp_path / "result.json"
        load = ["-c", "8", "-n", "60", "--prompt-tokens", "5-60", "--max-tokens", "4-40", "--warm-up", "0"]
        run = [binary(), "bench", "run", "--url", server.url, *how, *load, "--output", result]
        subprocess.run(run, check=True, capture_output=True, text=True)
        (series,) = json.loads(result.read_text())["series"]
        (measured,) = series["runs"]
        assert (measured["requests"], measured["failed"]) == (60, 0)
        medians = {name: measured["latencies"][name]["p50"] for name in ("ttft", "itl")}
        assert_within_a_bucket(server.url, first_token, 0.5, medians["ttft"], 60)
        gaps = measured["output_tokens"] - 60
        assert_within_a_bucket(server.url, "hostler_scheduler_inter_token_seconds", 0.5, medians["itl"], gaps)
    finally:
        server.kill()
