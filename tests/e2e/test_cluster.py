"""A worker dies, or hangs, with a third of a hundred streams: no client can tell."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cluster import Cluster

STREAMS = 100
TOKENS = 100


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(Path(os.environ["HOSTLER_BIN"]), tmp_path, workers=3)
    try:
        cluster.wait_until_serving()
        yield cluster
    finally:
        cluster.kill()


class Reader:
    """Reads one stream to its end."""

    def __init__(self, number: int):
        self.number = number
        self.text, self.done, self.usage, self.errors = "", 0, None, []

    async def read(self, client: httpx.AsyncClient) -> "Reader":
        body = {"model": "m", "prompt": f"prompt {self.number}", "max_tokens": TOKENS, "temperature": 0}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        async with client.stream("POST", "/v1/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.take(line.removeprefix("data: "))
        return self

    def take(self, data: str) -> None:
        if data == "[DONE]":
            self.done += 1
            return
        chunk = json.loads(data)
        if "error" in chunk:
            self.errors.append(chunk["error"])
        self.usage = chunk.get("usage") or self.usage
        self.text += "".join(choice["text"] for choice in chunk.get("choices", []))

    def result(self) -> tuple:
        return self.text, self.done, self.usage, self.errors


async def read_all(url: str, under_way=None) -> list[tuple]:
    limits = httpx.Limits(max_connections=2 * STREAMS)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        readers = [Reader(number) for number in range(STREAMS)]
        tasks = [asyncio.create_task(reader.read(client)) for reader in readers]
        if under_way:
            while sum(bool(reader.text) for reader in readers) < STREAMS / 2:
                await asyncio.sleep(0.01)
            under_way()
        return [reader.result() for reader in await asyncio.gather(*tasks)]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_streams_of_a_worker_that_is_lost_go_on_elsewhere(cluster: Cluster, blow: signal.Signals) -> None:
    undisturbed = asyncio.run(read_all(cluster.url))
    assert all(done == 1 and usage["completion_tokens"] == TOKENS for _, done, usage, _ in undisturbed)
    struck = asyncio.run(read_all(cluster.url, lambda: cluster.workers[0].send_signal(blow)))
    assert struck == undisturbed
    moved = cluster.metric("hostler_router_migrations_total")
    assert moved and all('outcome="moved"' in name or 'outcome="completed"' in name for name in moved), moved
    assert set(cluster.metric("hostler_router_requests_in_flight").values()) == {0}
