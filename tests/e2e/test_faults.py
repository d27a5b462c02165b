"""Kills, stops, cut and hanging connections, drains and outages of etcd, drawn from a seed, under
traffic and claims: every request is answered once, every claim ends, nothing is left.

HOSTLER_FAULT_SEED       the seed; drawn, and printed, if unset
HOSTLER_FAULT_SECONDS    how long; 120 if unset
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cluster import LEASE_SECONDS, Cluster, Etcd, until

CLIENTS = 12
PROMPTS = 20
# No answer takes longer, whatever happens to it: three moves, each after a hanging connection.
PATIENCE = 60
# Refusals that say when to come again, before the first token.
HONEST = {429, 503}


class Answer:
    """One request, from its first byte to its last."""

    def __init__(self, url: str, prompt: int, stream: bool):
        body = {"model": "m", "prompt": f"prompt {prompt}", "max_tokens": 10 + 2 * prompt, "temperature": 0}
        self.status, self.text, self.done, self.error, self.retry_after = 0, "", 0, None, None
        if stream:
            with httpx.stream("POST", f"{url}/v1/completions", json={**body, "stream": True}, timeout=PATIENCE) as answer:
                self.begin(answer)
                if answer.status_code == 200:
                    self.read(answer)
        else:
            answer = httpx.post(f"{url}/v1/completions", json=body, timeout=PATIENCE)
            self.begin(answer)
            if answer.status_code == 200:
                self.text, self.done = answer.json()["choices"][0]["text"], 1

    def begin(self, answer: httpx.Response) -> None:
        self.status, self.retry_after = answer.status_code, answer.headers.get("retry-after")

    def read(self, answer: httpx.Response) -> None:
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


class Traffic:
    """Clients that ask all gateways without a pause; what each answer was is counted."""

    def __init__(self, cluster: Cluster, expected: list[str], seed: int):
        self.cluster, self.expected, self.over = cluster, expected, threading.Event()
        self.outcomes, self.faults, self.lock = Counter(), [], threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(random.Random(seed + n),)) for n in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.claim, args=(random.Random(seed - 1),)))

    def ask(self, draw: random.Random) -> None:
        while not self.over.is_set():
            prompt = draw.randrange(PROMPTS)
            try:
                answer = Answer(draw.choice(self.cluster.urls), prompt, stream=draw.random() < 0.5)
                outcome, fault = self.judge(answer, self.expected[prompt])
            except (httpx.HTTPError, ValueError, KeyError) as error:
                outcome, fault = "broken", repr(error)
            with self.lock:
                self.outcomes[outcome] += 1
                if fault:
                    self.faults.append(fault)

    def judge(self, answer: Answer, expected: str) -> tuple[str, str | None]:
        if answer.status in HONEST and answer.retry_after:
            return "refused", None
        if answer.status != 200:
            return "failed", f"status {answer.status}"
        if answer.done != 1:
            return "wrong", f"ended {answer.done} times"
        if answer.error:
            return "cut", None if expected.startswith(answer.text) else f"{answer.text!r} is no part of {expected!r}"
        return "answered", None if answer.text == expected else f"{answer.text!r} instead of {expected!r}"

    def claim(self, draw: random.Random) -> None:
        while not self.over.is_set():
            url = draw.choice(self.cluster.urls)
            try:
                wish = {"model": "m", "ttl_seconds": draw.uniform(1, 3), "drain": draw.choice(["wait", "evict"])}
                claim = httpx.post(f"{url}/admin/claims", json=wish, timeout=PATIENCE)
                with self.lock:
                    self.outcomes[f"claim {claim.status_code}"] += 1
                    if claim.status_code not in (201, 503):
                        self.faults.append(f"a claim: {claim.status_code} {claim.text}")
                if claim.status_code == 201 and draw.random() < 0.5:
                    self.over.wait(draw.uniform(0, 1))
                    ended = httpx.delete(f"{url}/admin/claims/{claim.json()['token']}", timeout=PATIENCE)
                    with self.lock:
                        # It may have ended by itself, or with its worker.
                        if ended.status_code not in (200, 204, 404, 503):
                            self.faults.append(f"a release: {ended.status_code} {ended.text}")
            except httpx.HTTPError as error:
                with self.lock:
                    self.faults.append(f"a claim: {error!r}")
            self.over.wait(draw.uniform(0, 2))

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE)
        if any(thread.is_alive() for thread in self.threads):
            self.faults.append("a request never ended")


class Faults:
    """What can be done to a cluster, and undone."""

    def __init__(self, cluster: Cluster, etcd: Etcd, draw: random.Random):
        self.cluster, self.etcd, self.draw = cluster, etcd, draw
        self.all: list[Callable] = [self.kill, self.stop, self.hang, self.cut, self.restart, self.lose_etcd]

    def one(self) -> str:
        fault = self.draw.choice(self.all)
        seconds = self.draw.uniform(0.2, 5)
        number = self.draw.randrange(len(self.cluster.workers))
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
        code = self.cluster.workers[number].wait(PATIENCE)
        assert code == 0, f"worker {number} ended with {code}"
        yield
        self.cluster.workers[number] = self.cluster.worker(number)

    @contextmanager
    def lose_etcd(self, _: int) -> Iterator[None]:
        self.etcd.kill()
        yield
        self.etcd.start()


def test_whatever_fails_every_request_is_answered_once(tmp_path: Path) -> None:
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
        with Traffic(cluster, expected, seed) as traffic:
            while time.monotonic() < end:
                print(faults.one(), flush=True)
                # One after the other: two of three workers can always serve what comes.
                cluster.wait_until_serving_or_claimed()
        print(dict(traffic.outcomes))
        assert not traffic.faults, traffic.faults[:5]
        answered, all_answers = traffic.outcomes["answered"], traffic.outcomes["answered"] + traffic.outcomes["refused"]
        all_answers += traffic.outcomes["cut"]
        assert answered >= 0.99 * all_answers, traffic.outcomes
        assert traffic.outcomes["claim 201"], "no claim was ever granted"
        everything_is_over(cluster, etcd)
    finally:
        cluster.kill()
        etcd.kill()


def everything_is_over(cluster: Cluster, etcd: Etcd) -> None:
    cluster.wait_until_serving()
    until("every claim's record is gone", lambda: not etcd.keys("claims"), LEASE_SECONDS + 5)
    for gateway in range(len(cluster.gateways)):
        for gauge in ("hostler_router_requests_in_flight", "hostler_router_claims_held", "hostler_http_requests_in_flight"):
            # The request for the metrics is in flight itself.
            limit = 1 if "http" in gauge else 0
            until(f"{gauge} is back at {limit}", lambda: all(v <= limit for v in cluster.metric(gauge, gateway).values()))
        for scheduler in cluster.schedulers(gateway):
            assert (scheduler["running"], scheduler["claim"]) == (0, None), scheduler
            assert not any(scheduler["waiting"].values()), scheduler
    for process in [*cluster.gateways, *cluster.workers]:
        process.send_signal(signal.SIGTERM)
    codes = [process.wait(PATIENCE) for process in [*cluster.gateways, *cluster.workers]]
    assert codes == [0] * len(codes)
    until("no node is left in etcd", lambda: not etcd.keys("nodes"), 5)
