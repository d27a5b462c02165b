"""Claims on one of two schedulers, while clients are served: they must not notice."""

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

# With it, a run is repeated: its draws, not its timing.
SEED = int(os.environ.get("HOSTLER_TEST_SEED") or random.randrange(2**32))

# Fewer where both ends are in one process: there is less that can go wrong.
CLAIMS = {"thread": 30, "process": 100}
CLIENTS = 6
# Different questions, so that an answer to another is noticed.
QUESTIONS = 10
TOKENS = 30

# Longer than anything here takes.
PATIENCE = 60

# What another process does that claims a scheduler and is killed.
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


def claim(pair: Pair, **wanted) -> dict:
    response = httpx.post(f"{pair.url}/admin/claims", json=wanted, timeout=PATIENCE)
    assert response.status_code == 201, response.text
    return response.json()


def test_streams_that_a_claim_evicts_go_on_elsewhere(pair: Pair) -> None:
    read = lambda under_way=None: asyncio.run(read_all(pair.url, MODEL, 12, 400, under_way))  # noqa: E731
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


class Traffic:
    """Clients that ask one question after the other, until they are told to stop."""

    def __init__(self, pair: Pair):
        self.url = pair.url
        self.stopped = threading.Event()
        self.answers: list[tuple[int, tuple]] = []
        self.lost: list[str] = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self.go_on()))

    def __enter__(self) -> "Traffic":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.thread.join()

    async def go_on(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE) as client:
            await asyncio.gather(*(self.ask(client, index) for index in range(CLIENTS)))

    async def ask(self, client: httpx.AsyncClient, number: int) -> None:
        while not self.stopped.is_set():
            number = (number + 1) % QUESTIONS
            try:
                reader = await Reader(number, MODEL, TOKENS).read(client)
                self.answers.append((number, reader.result()))
            except httpx.HTTPError as error:
                self.lost.append(repr(error))


class Holders:
    """Everybody who claims, in the ways in which a claim can end."""

    def __init__(self, pair: Pair, draw: random.Random):
        self.pair, self.draw, self.by_hand = pair, draw, 0

    def terms(self) -> dict:
        # `fail` is left out: it cancels the requests of others, as it is meant to.
        return {"scheduler": self.draw.choice(SCHEDULERS), "drain": self.draw.choice(("wait", "evict"))}

    def order(self, requests: int) -> dict:
        return {"requests": requests, "concurrency": self.draw.randint(1, 8), "max_tokens": 10, **self.terms()}

    def pause(self) -> None:
        """Not awaiting anything, but a time at which somebody leaves."""
        threading.Event().wait(self.draw.uniform(0, 0.15))

    def is_measured(self) -> None:
        answer = httpx.post(f"{self.pair.url}/benchmark", json=self.order(8), timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["successful_requests"] == 8

    def is_given_back(self) -> None:
        held = claim(self.pair, ttl_seconds=30, wait=True, **self.terms())
        body = {"model": MODEL, "prompt": "mine", "max_tokens": 5}
        headers = {"x-hostler-claim": str(held["token"])}
        answer = httpx.post(f"{self.pair.url}/v1/completions", json=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200 and answer.headers["x-hostler-scheduler"] == held["scheduler"], answer.text
        self.by_hand += 1
        assert httpx.delete(f"{self.pair.url}/admin/claims/{held['token']}").status_code == 200

    def is_forgotten(self) -> None:
        """Nobody renews it, so that it expires."""
        claim(self.pair, ttl_seconds=1, wait=True, **self.terms())

    def is_cancelled(self) -> None:
        terms = self.terms()
        order = {"requests": 100_000, "max_tokens": 10, "claim": {"drain": terms["drain"]}}
        response = httpx.post(f"{self.pair.url}/v1/benchmarks", json=order | {"scheduler": terms["scheduler"]})
        assert response.status_code == 202, response.text
        self.pause()
        path = f"{self.pair.url}/v1/benchmarks/{response.json()['id']}"
        assert httpx.delete(path).status_code == 200
        ended = lambda: httpx.get(path).json()["status"] == "cancelled"  # noqa: E731
        metrics.wait_until(ended, "the benchmark's end")

    def newest(self) -> dict | None:
        listed = httpx.get(f"{self.pair.url}/v1/benchmarks", timeout=PATIENCE).json()["data"]
        return listed[0] if listed else None

    def leaves(self) -> None:
        before = self.newest()
        with RawStream(self.pair.url, "/benchmark", self.order(100_000)):
            metrics.wait_until(lambda: self.newest() != before, "the order's arrival")
            self.pause()
        metrics.wait_until(lambda: self.newest()["status"] == "cancelled", "the end of whose client left")

    def is_killed(self) -> None:
        order = self.order(100_000)
        client = subprocess.Popen([sys.executable, "-c", BENCHMARK_CLIENT, self.pair.url, json.dumps(order)])
        try:
            claimed = lambda: self.pair.state_of(order["scheduler"]) != "serving"  # noqa: E731
            metrics.wait_until(claimed, "the killed one's claim")
            self.pause()
        finally:
            client.kill()
            client.wait()
        metrics.wait_until(lambda: self.newest()["status"] == "cancelled", "the end of whose client was killed")

    def ways(self) -> list[Callable[[], None]]:
        return [self.is_measured, self.is_given_back, self.is_forgotten, self.is_cancelled, self.leaves, self.is_killed]


def ended_claims(pair: Pair) -> float:
    return metrics.read(pair.url).get("hostler_router_claims_total", 0)


def test_a_hundred_claims_in_a_row_lose_nothing_and_leave_nothing(pair: Pair) -> None:
    print(f"HOSTLER_TEST_SEED={SEED}")
    draw = random.Random(SEED)
    expected = asyncio.run(read_all(pair.url, MODEL, QUESTIONS, TOKENS))
    holders, ways = Holders(pair, draw), Counter()
    with Traffic(pair) as traffic:
        while ended_claims(pair) < CLAIMS[pair.isolation] or len(ways) < len(holders.ways()):
            # Expiry takes a second each time, so it is drawn less often; who leaves or cancels
            # at once may have had no claim yet.
            (way,) = draw.choices(holders.ways(), weights=(2, 8, 1, 2, 2, 2))
            way()
            ways[way.__name__] += 1
            pair.wait_until_all_serve()
    print(dict(ways), len(traffic.answers), "answers")

    assert not traffic.lost
    assert len(traffic.answers) > CLAIMS[pair.isolation]
    wrong = [(number, answer) for number, answer in traffic.answers if answer != expected[number]]
    assert not wrong, wrong[:3]
    metrics.wait_idle(pair.url)
    assert httpx.get(f"{pair.url}/admin/claims").json()["data"] == []
    # The one request in flight is that for the metrics.
    idle = dict.fromkeys(metrics.GAUGES, 0) | {"hostler_http_requests_in_flight": 1}
    assert metrics.gauges(pair.url) == idle
    seen = metrics.read(pair.url)
    assert seen["hostler_router_claims_held"] == 0
    answered = len(expected) + len(traffic.answers) + holders.by_hand
    assert seen["hostler_gateway_requests_total"] == answered
    tokens = TOKENS * (answered - holders.by_hand) + 5 * holders.by_hand
    assert seen["hostler_gateway_generation_tokens_total"] == tokens
    # Both serve, also after all that.
    again = asyncio.run(read_all(pair.url, MODEL, QUESTIONS, TOKENS))
    assert again == expected
