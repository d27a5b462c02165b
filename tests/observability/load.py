"""Traffic, with everything in it that a dashboard shows: waves that fill the queues,
prompts that begin alike, priorities, clients that leave, engines that break."""

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
    """What a client saw of one answer."""

    status: int
    prompt_tokens: int = 0
    tokens: int = 0
    first_token_seconds: float | None = None
    seconds: float = 0.0


def ask(client: httpx.Client, model: str, words: int = 8, max_tokens: int = 12, **fields) -> Seen:
    """One streamed answer, and its times."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "the same beginning " + "word " * words}],
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }
    begin = time.monotonic()
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
                seen.first_token_seconds = time.monotonic() - begin
    seen.seconds = time.monotonic() - begin
    return seen


class Traffic:
    """Goes on in threads of its own until it is stopped."""

    def __init__(self, url: str):
        self.url = url
        self.ended = threading.Event()
        self.threads: list[threading.Thread] = []
        self.measured = False

    def start(self) -> "Traffic":
        for index in range(16):
            self._repeat(lambda client, index=index: self._wave(client, index))
        self._repeat(self._broken)
        self._repeat(lambda _: self._leave())
        self._repeat(self._operate)
        return self

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(30)

    def _repeat(self, act: Callable[[httpx.Client], None]) -> None:
        def run() -> None:
            with httpx.Client(base_url=self.url, timeout=60) as client:
                while not self.ended.is_set():
                    try:
                        act(client)
                    except (httpx.HTTPError, OSError, AssertionError):
                        # A server that is killed on purpose; the next one answers again.
                        self.ended.wait(0.2)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _wave(self, client: httpx.Client, index: int) -> None:
        # All at once, so that queues overflow; then a pause in which they empty.
        now = time.monotonic()
        self.ended.wait(3.0 - now % 3.0 if index else 0.05)
        ask(client, "steady", random.randint(4, 40), random.randint(4, 24), priority=PRIORITIES[index % 3])

    def _broken(self, client: httpx.Client) -> None:
        ask(client, "flaky", max_tokens=30)
        self.ended.wait(0.1)

    def _operate(self, client: httpx.Client) -> None:
        """A claim that is given back, one that is refused, and a small ladder."""
        claim = {"model": "steady", "owner": "an operator", "ttl_seconds": 30, "wait": True}
        granted = client.post("/admin/claims", json=claim)
        if granted.status_code < 300:
            self.ended.wait(2)
            client.delete(f"/admin/claims/{granted.json()['token']}")
        client.post("/admin/claims", json=claim | {"min_serving": 99})
        if not self.measured:
            order = {"profile": "ladder", "model": "steady", "repeats": 2, "requests": 8, "shape": {"kind": "concurrent", "concurrency": 2}}
            answer = client.post("/v1/benchmarks", json=order)
            assert answer.status_code < 300, answer.text
            self.measured = True
        self.ended.wait(8)

    def _leave(self) -> None:
        body = {"model": "steady", "prompt": "hello", "max_tokens": 500, "stream": True}
        with RawStream(self.url, "/generate", body) as stream:
            # One that is refused gets no events.
            stream.socket.settimeout(2)
            stream.read_events(2)
        self.ended.wait(0.5)
