"""Traffic that fills every panel of the dashboards: bursts that fill the queues, shared
prefixes, priorities, clients that disconnect, engines that fail."""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from raw import RawStream

PRIORITIES = ("interactive", "default", "batch")


@dataclass
class Seen:
    """An answer as its client saw it."""

    status: int
    prompt_tokens: int = 0
    tokens: int = 0
    first_token_seconds: float | None = None
    seconds: float = 0.0


def ask(client: httpx.Client, model: str, words: int = 8, max_tokens: int = 12, **fields) -> Seen:
    """Sends one streaming request and measures its times."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "the same beginning " + "word " * words}],
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }
    started = time.monotonic()
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        seen = Seen(response.status_code)
        if response.status_code != 200:
            response.read()
        for line in response.iter_lines() if response.status_code == 200 else ():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                continue
            if usage := chunk.get("usage"):
                seen.prompt_tokens, seen.tokens = usage["prompt_tokens"], usage["completion_tokens"]
            text = "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", []))
            if text and seen.first_token_seconds is None:
                seen.first_token_seconds = time.monotonic() - started
    seen.seconds = time.monotonic() - started
    return seen


class Traffic:
    """Sends requests in threads of its own until it is stopped."""

    def __init__(self, url: str):
        self.url = url
        self.stopped = threading.Event()
        self.threads: list[threading.Thread] = []
        self.has_benchmark = False

    def start(self) -> "Traffic":
        for index in range(16):
            self._repeat(lambda client, index=index: self._burst(client, index))
        self._repeat(self._use_faulty_engine)
        self._repeat(lambda _: self._disconnect())
        self._repeat(self._operate)
        return self

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)

    def _repeat(self, act: Callable[[httpx.Client], None]) -> None:
        def run() -> None:
            with httpx.Client(base_url=self.url, timeout=60) as client:
                while not self.stopped.is_set():
                    try:
                        act(client)
                    except (httpx.HTTPError, OSError, AssertionError):
                        # The test kills servers on purpose; the next attempt may succeed.
                        self.stopped.wait(0.2)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _burst(self, client: httpx.Client, index: int) -> None:
        # All clients send at once, so that queues overflow, and then pause until they are empty.
        now = time.monotonic()
        self.stopped.wait(3.0 - now % 3.0 if index else 0.05)
        ask(client, "steady", random.randint(4, 40), random.randint(4, 24), priority=PRIORITIES[index % 3])

    def _use_faulty_engine(self, client: httpx.Client) -> None:
        ask(client, "flaky", max_tokens=30)
        self.stopped.wait(0.1)

    def _operate(self, client: httpx.Client) -> None:
        """Makes a claim and releases it, one that is refused, and a small ladder."""
        claim = {"model": "steady", "owner": "an operator", "ttl_seconds": 30, "wait": True}
        granted = client.post("/admin/claims", json=claim)
        if granted.status_code < 300:
            self.stopped.wait(2)
            client.delete(f"/admin/claims/{granted.json()['token']}")
        client.post("/admin/claims", json=claim | {"min_serving": 99})
        if not self.has_benchmark:
            order = {"profile": "ladder", "model": "steady", "repeats": 2, "requests": 8, "shape": {"kind": "concurrent", "concurrency": 2}}
            answer = client.post("/v1/benchmarks", json=order)
            assert answer.status_code < 300, answer.text
            self.has_benchmark = True
        self.stopped.wait(8)

    def _disconnect(self) -> None:
        body = {"model": "steady", "prompt": "hello", "max_tokens": 500, "stream": True}
        with RawStream(self.url, "/generate", body) as stream:
            # A refused request gets no events.
            stream.socket.settimeout(2)
            stream.read_events(2)
        self.stopped.wait(0.5)
