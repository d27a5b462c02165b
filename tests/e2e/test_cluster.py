"""A worker dies, hangs, or is cut off, with a third of a hundred streams: no client can tell."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
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


def kill(cluster: Cluster) -> None:
    cluster.workers[0].kill()


def stop(cluster: Cluster) -> None:
    cluster.workers[0].send_signal(signal.SIGSTOP)


@pytest.fixture
def cut_off(cluster: Cluster) -> Iterator[Callable[[Cluster], None]]:
    """A packet filter that drops whatever goes to the first worker or comes from it."""
    if os.geteuid() != 0 or not shutil.which("iptables"):
        pytest.skip("NOT RUN: a packet filter needs root and iptables")
    port = str(cluster.ports[0])
    rules = [["INPUT", "-i", "lo", "-p", "tcp", side, port, "-j", "DROP"] for side in ("--dport", "--sport")]

    def drop(_: Cluster) -> None:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-I", *rule], check=True)

    yield drop
    for rule in rules:
        subprocess.run(["iptables", "-w", "-D", *rule], check=False, stderr=subprocess.DEVNULL)


def check_streams(cluster: Cluster, blow: Callable[[Cluster], None]) -> None:
    undisturbed = asyncio.run(read_all(cluster.url))
    assert all(done == 1 and usage["completion_tokens"] == TOKENS for _, done, usage, _ in undisturbed)
    struck = asyncio.run(read_all(cluster.url, lambda: blow(cluster)))
    assert struck == undisturbed
    moved = cluster.metric("hostler_router_migrations_total")
    assert moved and all('outcome="moved"' in name or 'outcome="completed"' in name for name in moved), moved
    assert set(cluster.metric("hostler_router_requests_in_flight").values()) == {0}


@pytest.mark.parametrize("blow", [kill, stop])
def test_streams_of_a_worker_that_is_lost_go_on_elsewhere(cluster: Cluster, blow: Callable[[Cluster], None]) -> None:
    check_streams(cluster, blow)


def test_streams_of_a_worker_that_is_cut_off_go_on_elsewhere(
    cluster: Cluster, cut_off: Callable[[Cluster], None]
) -> None:
    check_streams(cluster, cut_off)


REAL = """
[scheduler]
engine = "{engine}"
model = "{model}"
served_name = "m"
max_batch_size = 4
"""


def test_an_answer_of_a_real_model_goes_on_where_its_worker_dies(engine: str, tmp_path: Path) -> None:
    if not (model := os.environ.get("HOSTLER_TEST_MODEL")):
        pytest.fail("HOSTLER_TEST_MODEL is not set: it names the GGUF file to serve", pytrace=False)
    scheduler = REAL.format(engine=engine, model=model)
    cluster = Cluster(Path(os.environ["HOSTLER_BIN"]), tmp_path, workers=2, scheduler=scheduler)
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell a story about a horse."}]}
    body |= {"max_tokens": 120, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    try:
        cluster.wait_until_serving(seconds=120)
        undisturbed, _ = read_chat(cluster, body)
        struck, worker = read_chat(cluster, body, strike_after=20)
        assert struck == undisturbed
        assert cluster.workers[worker].wait(10) == -signal.SIGKILL
    finally:
        cluster.kill()


def read_chat(cluster: Cluster, body: dict, strike_after: int | None = None) -> tuple[tuple, int]:
    """What a stream had, and which worker had it first, who dies after so many chunks."""
    text, usage, chunks, ends = "", None, 0, 0
    with httpx.stream("POST", f"{cluster.url}/v1/chat/completions", json=body, timeout=300) as answer:
        worker = int(answer.headers["x-hostler-scheduler"].removeprefix("w").partition(".")[0])
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                ends += line == "data: [DONE]"
                continue
            chunk = json.loads(line.removeprefix("data: "))
            assert "error" not in chunk, chunk
            text += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            usage = chunk.get("usage") or usage
            chunks += 1
            if chunks == strike_after:
                cluster.workers[worker].kill()
    return (text, ends, usage["prompt_tokens"], usage["completion_tokens"]), worker
