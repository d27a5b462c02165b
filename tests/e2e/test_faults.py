"""Random faults under traffic and claims: killed and stopped workers, cut and hanging
connections, drains and outages of etcd. Every request gets exactly one answer, every claim
ends, and no resource leaks.

HOSTLER_FAULT_SEED       seed of the faults; random, and printed, if unset
HOSTLER_FAULT_SECONDS    duration; 120 if unset
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from cluster import LEASE_SECONDS, Cluster, Etcd, until
from traffic import Traffic

CLIENTS = 12
PROMPTS = 20
# Longer than any answer takes: three migrations, each after a hanging connection.
TIMEOUT_SECONDS = 60
# Statuses that may refuse a request before its first token, with a Retry-After header.
RETRYABLE = {429, 503}


class Answer:
    """The answer to one request, read to its end."""

    def __init__(self, url: str, prompt: int, stream: bool):
        body = {"model": "m", "prompt": f"prompt {prompt}", "max_tokens": 10 + 2 * prompt, "temperature": 0}
        self.status, self.text, self.done, self.error, self.retry_after = 0, "", 0, None, None
        if stream:
            with httpx.stream("POST", f"{url}/v1/completions", json={**body, "stream": True}, timeout=TIMEOUT_SECONDS) as answer:
                self.read_head(answer)
                if answer.status_code == 200:
                    self.read_events(answer)
        else:
            answer = httpx.post(f"{url}/v1/completions", json=body, timeout=TIMEOUT_SECONDS)
            self.read_head(answer)
            if answer.status_code == 200:
                self.text, self.done = answer.json()["choices"][0]["text"], 1

    def read_head(self, answer: httpx.Response) -> None:
        self.status, self.retry_after = answer.status_code, answer.headers.get("retry-after")

    def read_events(self, answer: httpx.Response) -> None:
        for line in answer.iter_lines():
            data = line.removeprefix("data: ")
            if data == line:
                continue
            if data == "[DONE]":
                self.done += 1
                continue
            chunk = json.loads(data)
            self.error = chunk.get("error") or self.error
            self.text += "".join(choice["text"] for choice in chunk.get("choices", []))


class RequestsAndClaims(Traffic):
    """Clients that send requests and claims to random gateways, and count the outcomes."""

    def __init__(self, cluster: Cluster, expected: list[str], seed: int):
        super().__init__(2 * TIMEOUT_SECONDS)
        self.cluster, self.expected, self.outcomes = cluster, expected, Counter()
        for number in range(CLIENTS):
            self.repeat(partial(self.send, random.Random(seed + number)))
        self.repeat(partial(self.claim, random.Random(seed - 1)))

    def send(self, rng: random.Random) -> None:
        prompt = rng.randrange(PROMPTS)
        try:
            answer = Answer(rng.choice(self.cluster.urls), prompt, stream=rng.random() < 0.5)
            outcome, failure = self.check(answer, self.expected[prompt])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            outcome, failure = "broken", repr(error)
        self.count(outcome)
        if failure:
            self.fail(failure)

    def count(self, outcome: str) -> None:
        with self.lock:
            self.outcomes[outcome] += 1

    def check(self, answer: Answer, expected: str) -> tuple[str, str | None]:
        if answer.status in RETRYABLE and answer.retry_after:
            return "refused", None
        if answer.status != 200:
            return "failed", f"status {answer.status}"
        if answer.done != 1:
            return "wrong", f"ended {answer.done} times"
        if answer.error:
            return "cut", None if expected.startswith(answer.text) else f"{answer.text!r} is not the beginning of {expected!r}"
        return "answered", None if answer.text == expected else f"{answer.text!r} instead of {expected!r}"

    def claim(self, rng: random.Random) -> None:
        url = rng.choice(self.cluster.urls)
        try:
            body = {"model": "m", "ttl_seconds": rng.uniform(1, 3), "drain": rng.choice(["wait", "evict"])}
            claim = httpx.post(f"{url}/admin/claims", json=body, timeout=TIMEOUT_SECONDS)
            self.count(f"claim {claim.status_code}")
            if claim.status_code not in (201, 503):
                self.fail(f"a claim: {claim.status_code} {claim.text}")
            if claim.status_code == 201 and rng.random() < 0.5:
                self.stopped.wait(rng.uniform(0, 1))
                released = httpx.delete(f"{url}/admin/claims/{claim.json()['token']}", timeout=TIMEOUT_SECONDS)
                # The claim may have expired, or ended with its worker.
                if released.status_code not in (200, 204, 404, 503):
                    self.fail(f"a release: {released.status_code} {released.text}")
        except httpx.HTTPError as error:
            self.fail(f"a claim: {error!r}")
        self.stopped.wait(rng.uniform(0, 2))


class Faults:
    """Injects random faults into a cluster, and repairs them."""

    def __init__(self, cluster: Cluster, etcd: Etcd, rng: random.Random):
        self.cluster, self.etcd, self.rng = cluster, etcd, rng
        self.all: list[Callable] = [self.kill, self.stop, self.hang, self.cut, self.restart, self.lose_etcd]

    def inject_one(self) -> str:
        fault = self.rng.choice(self.all)
        seconds = self.rng.uniform(0.2, 5)
        number = self.rng.randrange(len(self.cluster.workers))
        with fault(number):
            time.sleep(seconds)
        return f"{fault.__name__} {number} for {seconds:.1f} s"

    @contextmanager
    def kill(self, number: int) -> Iterator[None]:
        self.cluster.workers[number].kill()
        self.cluster.workers[number].wait()
        yield
        self.cluster.workers[number] = self.cluster.worker(number)

    @contextmanager
    def stop(self, number: int) -> Iterator[None]:
        self.cluster.workers[number].send_signal(signal.SIGSTOP)
        yield
        self.cluster.workers[number].send_signal(signal.SIGCONT)

    @contextmanager
    def hang(self, number: int) -> Iterator[None]:
        self.cluster.links[number].hang()
        yield
        self.cluster.links[number].heal()

    @contextmanager
    def cut(self, number: int) -> Iterator[None]:
        self.cluster.links[number].cut()
        yield

    @contextmanager
    def restart(self, number: int) -> Iterator[None]:
        self.cluster.workers[number].send_signal(signal.SIGTERM)
        code = self.cluster.workers[number].wait(TIMEOUT_SECONDS)
        assert code == 0, f"worker {number} exited with {code}"
        yield
        self.cluster.workers[number] = self.cluster.worker(number)

    @contextmanager
    def lose_etcd(self, _: int) -> Iterator[None]:
        self.etcd.kill()
        yield
        self.etcd.start()


def test_every_request_is_answered_once_under_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("HOSTLER_FAULT_SEED", random.randrange(1 << 32)))
    seconds = float(os.environ.get("HOSTLER_FAULT_SECONDS", 120))
    print(f"HOSTLER_FAULT_SEED={seed}")
    etcd = Etcd(tmp_path)
    cluster = Cluster(Path(os.environ["HOSTLER_BIN"]), tmp_path, workers=3, gateways=2, etcd=etcd, links=True)
    try:
        cluster.wait_until_serving()
        expected = [Answer(cluster.url, prompt, stream=False).text for prompt in range(PROMPTS)]
        faults = Faults(cluster, etcd, random.Random(seed))
        end = time.monotonic() + seconds
        with RequestsAndClaims(cluster, expected, seed) as traffic:
            while time.monotonic() < end:
                print(faults.inject_one(), flush=True)
                # One fault at a time: two of the three workers can always serve.
                cluster.wait_until_serving_or_claimed()
        print(dict(traffic.outcomes))
        assert not traffic.failures, traffic.failures[:5]
        answered, all_answers = traffic.outcomes["answered"], traffic.outcomes["answered"] + traffic.outcomes["refused"]
        all_answers += traffic.outcomes["cut"]
        assert answered >= 0.99 * all_answers, traffic.outcomes
        assert traffic.outcomes["claim 201"], "no claim was ever granted"
        check_nothing_leaked(cluster, etcd)
    finally:
        cluster.kill()
        etcd.kill()


def check_nothing_leaked(cluster: Cluster, etcd: Etcd) -> None:
    cluster.wait_until_serving()
    until("every claim's record is gone", lambda: not etcd.keys("claims"), LEASE_SECONDS + 5)
    for gateway in range(len(cluster.gateways)):
        for gauge in ("hostler_router_requests_in_flight", "hostler_router_claims_held", "hostler_http_requests_in_flight"):
            # The scrape itself is in flight.
            limit = 1 if "http" in gauge else 0
            until(f"{gauge} is back at {limit}", lambda: all(v <= limit for v in cluster.metric(gauge, gateway).values()))
        for scheduler in cluster.schedulers(gateway):
            assert (scheduler["running"], scheduler["claim"]) == (0, None), scheduler
            assert not any(scheduler["waiting"].values()), scheduler
    for process in [*cluster.gateways, *cluster.workers]:
        process.send_signal(signal.SIGTERM)
    codes = [process.wait(TIMEOUT_SECONDS) for process in [*cluster.gateways, *cluster.workers]]
    assert codes == [0] * len(codes)
    until("no node is left in etcd", lambda: not etcd.keys("nodes"), 5)
