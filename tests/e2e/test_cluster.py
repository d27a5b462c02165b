"""A worker with a third of a hundred streams is killed, stopped or cut off: no client notices."""

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
from streams import read_all

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


def read(cluster: Cluster, halfway: Callable[[], object] | None = None) -> list[tuple]:
    return asyncio.run(read_all(cluster.url, "m", STREAMS, TOKENS, halfway))


def kill(cluster: Cluster) -> None:
    cluster.workers[0].kill()


def stop(cluster: Cluster) -> None:
    cluster.workers[0].send_signal(signal.SIGSTOP)


@pytest.fixture
def cut_off(cluster: Cluster) -> Iterator[Callable[[Cluster], None]]:
    """A packet filter that drops all packets to and from the first worker."""
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


def check_streams(cluster: Cluster, fault: Callable[[Cluster], None]) -> None:
    undisturbed = read(cluster)
    assert all(done == 1 and usage["completion_tokens"] == TOKENS for _, done, usage, _ in undisturbed)
    disturbed = read(cluster, lambda: fault(cluster))
    assert disturbed == undisturbed
    moved = [name for name, count in cluster.metric("hostler_router_migrations_total").items() if count]
    assert moved and all('outcome="moved"' in name or 'outcome="completed"' in name for name in moved), moved
    assert set(cluster.metric("hostler_router_requests_in_flight").values()) == {0}


@pytest.mark.parametrize("fault", [kill, stop])
def test_streams_of_a_failed_worker_continue_on_others(cluster: Cluster, fault: Callable[[Cluster], None]) -> None:
    check_streams(cluster, fault)


def test_streams_of_a_worker_that_is_cut_off_continue_on_others(
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


def test_an_answer_of_a_real_model_continues_when_its_worker_dies(engine: str, tmp_path: Path) -> None:
    if not (model := os.environ.get("HOSTLER_TEST_MODEL")):
        pytest.fail("HOSTLER_TEST_MODEL is not set: it names the GGUF file to serve", pytrace=False)
    scheduler = REAL.format(engine=engine, model=model)
    cluster = Cluster(Path(os.environ["HOSTLER_BIN"]), tmp_path, workers=2, scheduler=scheduler)
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell a story about a horse."}]}
    body |= {"max_tokens": 120, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    try:
        cluster.wait_until_serving(seconds=120)
        undisturbed, _ = read_chat(cluster, body)
        disturbed, worker = read_chat(cluster, body, kill_after=20)
        assert disturbed == undisturbed
        moved = [name for name, count in cluster.metric("hostler_router_migrations_total").items() if count]
        assert moved and all('outcome="moved"' in name or 'outcome="completed"' in name for name in moved), moved
        assert cluster.workers[worker].wait(10) == -signal.SIGKILL
    finally:
        cluster.kill()


def read_chat(cluster: Cluster, body: dict, kill_after: int | None = None) -> tuple[tuple, int]:
    """The result of a stream, and the number of the worker that began it. That worker is killed
    after `kill_after` chunks."""
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
            if chunks == kill_after:
                cluster.workers[worker].kill()
    return (text, ends, usage["prompt_tokens"], usage["completion_tokens"]), worker
