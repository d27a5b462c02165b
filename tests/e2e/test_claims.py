"""Claims on one of two schedulers while clients send requests: no client may notice."""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import metrics
from pair import MODEL, SCHEDULERS, Pair
from raw import RawStream
from streams import Reader, read_all

# Repeats the random choices of a run, but not its timing.
SEED = int(os.environ.get("HOSTLER_TEST_SEED") or random.randrange(2**32))

# Fewer where the schedulers run in the server's process: less can go wrong.
CLAIMS = {"thread": 30, "process": 100}
CLIENTS = 6
# Prompts differ, so that a swapped answer is noticed.
PROMPTS = 10
TOKENS = 30

# Longer than any request here takes.
TIMEOUT_SECONDS = 60

# Program of a process that claims a scheduler and is killed.
BENCHMARK_CLIENT = """
import sys, urllib.request
headers = {"content-type": "application/json"}
urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/benchmark", sys.argv[2].encode(), headers))
"""


@pytest.fixture(params=["thread", "process"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair.of(Path(os.environ["HOSTLER_BIN"]), tmp_path, request.param, step_ms=5).start()
    try:
        yield pair
    finally:
        pair.kill()


def claim(pair: Pair, **body) -> dict:
    response = httpx.post(f"{pair.url}/admin/claims", json=body, timeout=TIMEOUT_SECONDS)
    assert response.status_code == 201, response.text
    return response.json()


def test_evicted_streams_continue_on_the_other_scheduler(pair: Pair) -> None:
    read = lambda halfway=None: asyncio.run(read_all(pair.url, MODEL, 12, 400, halfway))  # noqa: E731
    undisturbed = read()
    assert all(
        done == 1 and not errors and usage["completion_tokens"] == 400 for _, done, usage, errors in undisturbed
    )
    held = []
    evicted = read(lambda: held.append(claim(pair, scheduler="a", drain="evict", wait=True)))
    assert evicted == undisturbed
    moved = metrics.read(pair.url)["hostler_router_migrations_total"]
    assert 1 <= moved <= 12
    assert pair.state_of("a") == "claimed"
    assert httpx.delete(f"{pair.url}/admin/claims/{held[0]['token']}").status_code == 200
    pair.wait_until_all_serve()
    metrics.wait_idle(pair.url)


class Clients:
    """Clients that send one request after the other until the end of the `with` block."""

    def __init__(self, pair: Pair):
        self.url = pair.url
        self.stopped = threading.Event()
        self.answers: list[tuple[int, tuple]] = []
        self.failures: list[str] = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    def __enter__(self) -> "Clients":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.thread.join()

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=TIMEOUT_SECONDS) as client:
            await asyncio.gather(*(self.send(client, index) for index in range(CLIENTS)))

    async def send(self, client: httpx.AsyncClient, number: int) -> None:
        while not self.stopped.is_set():
            number = (number + 1) % PROMPTS
            try:
                reader = await Reader(number, MODEL, TOKENS).read(client)
                self.answers.append((number, reader.result()))
            except httpx.HTTPError as error:
                self.failures.append(repr(error))


class Claims:
    """Makes claims and benchmarks, which end in every possible way."""

    def __init__(self, pair: Pair, rng: random.Random):
        self.pair, self.rng, self.requests_under_claim = pair, rng, 0

    def terms(self) -> dict:
        # Without `fail`, which cancels running requests on purpose.
        return {"scheduler": self.rng.choice(SCHEDULERS), "drain": self.rng.choice(("wait", "evict"))}

    def order(self, requests: int) -> dict:
        return {"requests": requests, "concurrency": self.rng.randint(1, 8), "max_tokens": 10, **self.terms()}

    def pause(self) -> None:
        """Waits for a random time, so that a claim ends at a random moment."""
        threading.Event().wait(self.rng.uniform(0, 0.15))

    def run_benchmark(self) -> None:
        answer = httpx.post(f"{self.pair.url}/benchmark", json=self.order(8), timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["successful_requests"] == 8

    def release(self) -> None:
        held = claim(self.pair, ttl_seconds=30, wait=True, **self.terms())
        body = {"model": MODEL, "prompt": "mine", "max_tokens": 5}
        headers = {"x-hostler-claim": str(held["token"])}
        answer = httpx.post(f"{self.pair.url}/v1/completions", json=body, headers=headers, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200 and answer.headers["x-hostler-scheduler"] == held["scheduler"], answer.text
        self.requests_under_claim += 1
        assert httpx.delete(f"{self.pair.url}/admin/claims/{held['token']}").status_code == 200

    def expire(self) -> None:
        """Never renews the claim, so that it expires."""
        claim(self.pair, ttl_seconds=1, wait=True, **self.terms())

    def cancel_benchmark(self) -> None:
        terms = self.terms()
        order = {"requests": 100_000, "max_tokens": 10, "claim": {"drain": terms["drain"]}}
        response = httpx.post(f"{self.pair.url}/v1/benchmarks", json=order | {"scheduler": terms["scheduler"]})
        assert response.status_code == 202, response.text
        self.pause()
        path = f"{self.pair.url}/v1/benchmarks/{response.json()['id']}"
        assert httpx.delete(path).status_code == 200
        ended = lambda: httpx.get(path).json()["status"] == "cancelled"  # noqa: E731
        metrics.wait_until(ended, "the benchmark is cancelled")

    def newest(self) -> dict | None:
        listed = httpx.get(f"{self.pair.url}/v1/benchmarks", timeout=TIMEOUT_SECONDS).json()["data"]
        return listed[0] if listed else None

    def disconnect(self) -> None:
        before = self.newest()
        with RawStream(self.pair.url, "/benchmark", self.order(100_000)):
            metrics.wait_until(lambda: self.newest() != before, "the benchmark is created")
            self.pause()
        metrics.wait_until(lambda: self.newest()["status"] == "cancelled", "the benchmark of the disconnected client is cancelled")

    def kill_client(self) -> None:
        order = self.order(100_000)
        client = subprocess.Popen([sys.executable, "-c", BENCHMARK_CLIENT, self.pair.url, json.dumps(order)])
        try:
            claimed = lambda: self.pair.state_of(order["scheduler"]) != "serving"  # noqa: E731
            metrics.wait_until(claimed, "the benchmark claims its scheduler")
            self.pause()
        finally:
            client.kill()
            client.wait()
        metrics.wait_until(lambda: self.newest()["status"] == "cancelled", "the benchmark of the killed client is cancelled")

    def ways(self) -> list[Callable[[], None]]:
        return [self.run_benchmark, self.release, self.expire, self.cancel_benchmark, self.disconnect, self.kill_client]


def ended_claims(pair: Pair) -> float:
    return metrics.read(pair.url).get("hostler_router_claims_total", 0)


def test_a_hundred_claims_in_a_row_lose_no_request_and_leak_nothing(pair: Pair) -> None:
    print(f"HOSTLER_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    expected = asyncio.run(read_all(pair.url, MODEL, PROMPTS, TOKENS))
    claims, ways = Claims(pair, rng), Counter()
    with Clients(pair) as clients:
        while ended_claims(pair) < CLAIMS[pair.isolation] or len(ways) < len(claims.ways()):
            # Expiry takes a second each time, so it is chosen less often. A benchmark that is
            # cancelled immediately may end before it has a claim.
            (way,) = rng.choices(claims.ways(), weights=(2, 8, 1, 2, 2, 2))
            way()
            ways[way.__name__] += 1
            pair.wait_until_all_serve()
    print(dict(ways), len(clients.answers), "answers")

    assert not clients.failures
    assert len(clients.answers) > CLAIMS[pair.isolation]
    wrong = [(number, answer) for number, answer in clients.answers if answer != expected[number]]
    assert not wrong, wrong[:3]
    metrics.wait_idle(pair.url)
    assert httpx.get(f"{pair.url}/admin/claims").json()["data"] == []
    # The scrape itself is in flight.
    idle = dict.fromkeys(metrics.GAUGES, 0) | {"hostler_http_requests_in_flight": 1}
    assert metrics.gauges(pair.url) == idle
    seen = metrics.read(pair.url)
    assert seen["hostler_router_claims_held"] == 0
    answered = len(expected) + len(clients.answers) + claims.requests_under_claim
    assert seen["hostler_gateway_requests_total"] == answered
    tokens = TOKENS * (answered - claims.requests_under_claim) + 5 * claims.requests_under_claim
    assert seen["hostler_gateway_generation_tokens_total"] == tokens
    # Both schedulers still serve.
    again = asyncio.run(read_all(pair.url, MODEL, PROMPTS, TOKENS))
    assert again == expected
