"""A randomised hostile client hurts no other client, and ends or breaks nothing.

HOSTLER_HOSTILE_SEED       seed of the attacks; random, and printed, if unset
HOSTLER_HOSTILE_SECONDS    duration of each test; 15 if unset
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

import metrics
from cluster import Cluster
from conftest import make_server
from hostile import TIMEOUT_SECONDS, Hostile, chat
from traffic import Traffic

CLIENTS = 8
GOOD_CLIENTS = 2
PROMPTS = 6
TOKENS = 8
# How often the well-behaved client tries again when the server is busy. One that is refused more
# often than that is starved.
ATTEMPTS_MAX = 10

TENANTS = ("hostile", "peer", "good", "admin")
KEYS = "[server.api_keys]\n" + "".join(
    f'{tenant} = {{ key = "the-key-of-{tenant}", role = "{"admin" if tenant == "admin" else "user"}" }}\n'
    for tenant in TENANTS
)
HEADERS = {tenant: {"authorization": f"Bearer the-key-of-{tenant}"} for tenant in TENANTS}

# What may remain: compiled constraints, cached prefixes, and freed memory that the allocator
# keeps. A minute of attacks sends several times as much.
MEMORY_BYTES_MAX = 512 << 20


@dataclass
class Target:
    """What is attacked: the URL of its API, and its processes."""

    url: str
    processes: Callable[[], list[int]]

    def resident_bytes(self) -> int:
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in self.processes())

    def sums(self) -> dict[str, float]:
        return metrics.read(self.url)

    def answer(self, prompt: int, tenant: str) -> tuple[int, str, float]:
        """Status, text and seconds to the first token of a streamed answer."""
        messages = [{"role": "user", "content": f"Count to {prompt}."}]
        body = {"messages": messages, "max_tokens": TOKENS, "temperature": 0, "stream": True}
        started, first, text = time.monotonic(), 0.0, ""
        url = f"{self.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, headers=HEADERS[tenant], timeout=TIMEOUT_SECONDS) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    first = first or time.monotonic() - started
                    event = json.loads(line.removeprefix("data: "))
                    assert "error" not in event, event
                    text += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            return answer.status_code, text, first


class GoodAndOther(Traffic):
    """A well-behaved tenant alongside another one. It checks each of its answers."""

    def __init__(self, target: Target, expected: list[str]):
        super().__init__(2 * TIMEOUT_SECONDS)
        self.target, self.expected = target, expected
        self.ttft: list[float] = []
        self.outcomes: Counter[str] = Counter()
        for number in range(GOOD_CLIENTS):
            self.repeat(partial(self.good, random.Random(number)))

    def good(self, rng: random.Random) -> None:
        prompt = rng.randrange(PROMPTS)
        try:
            for _ in range(ATTEMPTS_MAX):
                status, text, first = self.target.answer(prompt, "good")
                if status not in (429, 503):
                    break
                self.count("good, refused")
                time.sleep(rng.uniform(0.5, 1))
            if (status, text) == (200, self.expected[prompt]):
                self.count("good, right")
                self.ttft.append(first)
            else:
                self.fail(f"the well-behaved client got status {status}: {text!r} instead of {self.expected[prompt]!r}")
        except (httpx.HTTPError, ValueError, KeyError, AssertionError) as error:
            self.fail(f"the well-behaved client: {error!r}")

    def peer(self, rng: random.Random) -> None:
        """A request of a tenant that is as large as the hostile one, and well-formed."""
        try:
            body = chat(rng)
            url = f"{self.target.url}/v1/chat/completions"
            status = httpx.post(url, json=body, headers=HEADERS["peer"], timeout=TIMEOUT_SECONDS).status_code
            self.count(f"peer {status}")
        except httpx.HTTPError as error:
            self.fail(f"the peer: {error!r}")

    def attack(self, hostile: Hostile) -> None:
        try:
            name, wrong = hostile.act()
        except Exception as error:  # An attack must not end the attacker's thread.
            name, wrong = "broken", repr(error)
        self.count(name)
        if wrong:
            self.fail(f"{name}: {wrong}")

    def count(self, outcome: str) -> None:
        with self.lock:
            self.outcomes[outcome] += 1

    def p99(self) -> float:
        return sorted(self.ttft)[int(0.99 * len(self.ttft))] if self.ttft else float("nan")


def attack(target: Target) -> None:
    seed = int(os.environ.get("HOSTLER_HOSTILE_SEED", random.randrange(1 << 32)))
    seconds = float(os.environ.get("HOSTLER_HOSTILE_SECONDS", 15))
    print(f"HOSTLER_HOSTILE_SEED={seed}")
    expected = [target.answer(prompt, "admin")[1] for prompt in range(PROMPTS)]

    alongside_peer = GoodAndOther(target, expected)
    for number in range(CLIENTS):
        alongside_peer.repeat(partial(alongside_peer.peer, random.Random(seed + number)))
    with alongside_peer:
        time.sleep(seconds / 4)
    assert not alongside_peer.failures, alongside_peer.failures[:5]

    processes, memory = target.processes(), target.resident_bytes()
    alongside_hostile = GoodAndOther(target, expected)
    for number in range(CLIENTS):
        hostile = Hostile(target.url, HEADERS["hostile"], random.Random(seed + number))
        alongside_hostile.repeat(partial(alongside_hostile.attack, hostile))
    breakers = []
    end = time.monotonic() + seconds
    with alongside_hostile:
        while time.monotonic() < end:
            breakers.append(target.sums()["hostler_router_breaker_state"])
            time.sleep(0.2)

    print(dict(alongside_peer.outcomes), dict(alongside_hostile.outcomes))
    peer, hostile = alongside_peer.p99(), alongside_hostile.p99()
    print(f"p99 time to first token: {peer:.3f} s alongside a peer, {hostile:.3f} s alongside the hostile client")
    assert not alongside_hostile.failures, alongside_hostile.failures[:5]
    assert alongside_hostile.outcomes["good, right"] > 0
    assert max(breakers) == 0, "no breaker opens"
    assert target.processes() == processes, "no process ends"
    check_nothing_is_left(target)
    grown = target.resident_bytes() - memory
    print(f"resident memory: {memory >> 20} MiB, and {grown / (1 << 20):+.0f} MiB after the attacks")
    assert grown < MEMORY_BYTES_MAX, f"{grown >> 20} MiB"
    assert [target.answer(prompt, "good")[:2] for prompt in range(PROMPTS)] == [(200, text) for text in expected]


def check_nothing_is_left(target: Target) -> None:
    for gauge in metrics.GAUGES:
        # The scrape itself is an HTTP request.
        limit = 1 if "http" in gauge else 0
        metrics.wait_until(lambda: target.sums().get(gauge, 0) <= limit, f"{gauge} is back at {limit}", seconds=60)
    sums = target.sums()
    assert sums.get("hostler_scheduler_restarts_total", 0) == 0
    assert sums["hostler_router_breaker_state"] == 0


def test_one_scheduler(engine: str, tmp_path: Path) -> None:
    server = make_server(engine, tmp_path, KEYS).start()
    try:
        attack(Target(server.url, server.process_tree))
        assert server.stop() == 0, server.log_end()
    finally:
        server.kill()


def test_two_workers(tmp_path: Path) -> None:
    binary = Path(os.environ["HOSTLER_BIN"])
    cluster = Cluster(binary, tmp_path, workers=2, gateway_settings=KEYS, headers=HEADERS["admin"])
    processes = [*cluster.gateways, *cluster.workers]
    try:
        cluster.wait_until_serving()
        attack(Target(cluster.url, lambda: [process.pid for process in processes if process.poll() is None]))
    finally:
        cluster.kill()
