"""Greedy answers are those of llama.cpp's own server, alone and eight at a time.

The two are built differently (the wheel for any x86 processor, ours for this one), so
their log probabilities differ in the second or third digit, and where two tokens are as
good as equal, so may the choice. A fault looks different: the texts part although both
servers were sure. How the two are told apart: `reference.Parting.gap`.
"""

import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from conftest import ENGINES, make_server
from reference import WHEEL, Answer, ReferenceServer, ask_hostler, ask_reference, drift, parting

ANSWER_TOKENS = 24
TOGETHER = 8
# Measured: median 0.01, largest 0.14 (docs/performance.md). A wrong mask, position or
# scale moves them by whole units.
DRIFT_MEDIAN_MAX = 0.05
DRIFT_MAX = 0.5

ASKS = [
    "Write a short story about {}",
    "Explain to a child what is known of {}.",
    "Question: What are {}?\nAnswer:",
    "Once upon a time there were {}",
    "The most important thing to know about {} is",
]
THINGS = ["rivers", "bread", "the moon", "bicycles", "old maps", "rain", "chess", "glass", "whales", "trains"]
PROMPTS = [ask.format(thing) for ask in ASKS for thing in THINGS]


@pytest.mark.skipif("llamacpp" not in ENGINES, reason="llama.cpp's engine is not tested here")
@pytest.mark.skipif(not WHEEL.is_dir(), reason=f"SKIPPED: llama.cpp's own server is not in {WHEEL}")
def test_fifty_answers_are_those_of_llama_cpp_s_server(tmp_path: Path) -> None:
    threads = len(os.sched_getaffinity(0))
    model = os.environ["HOSTLER_TEST_MODEL"]
    server = make_server("llamacpp", tmp_path)
    with ReferenceServer(model, threads) as reference:
        with httpx.Client(base_url=reference.url, timeout=300) as http, ThreadPoolExecutor(TOGETHER) as pool:
            server.start()
            try:
                compare(http, httpx.Client(base_url=server.url, timeout=300), pool)
            finally:
                code = server.stop()
    assert code == 0, server.log_end()


def compare(reference: httpx.Client, hostler: httpx.Client, pool: ThreadPoolExecutor) -> None:
    tokenized = [hostler.post("/tokenize", json={"prompt": p}).json()["tokens"] for p in PROMPTS]
    body = {"content": PROMPTS[0], "add_special": True}
    assert reference.post("/tokenize", json=body).json()["tokens"] == tokenized[0]

    alone = [ask_hostler(hostler, tokens, ANSWER_TOKENS) for tokens in tokenized]
    together = list(pool.map(lambda tokens: ask_hostler(hostler, tokens, ANSWER_TOKENS), tokenized))
    theirs = [ask_reference(reference, tokens, ANSWER_TOKENS) for tokens in tokenized]
    judge("alone / llama.cpp's server", alone, theirs)
    judge("alone / eight at a time", alone, together)


def judge(what: str, left: list[Answer], right: list[Answer]) -> None:
    """That answers part only where a tie explains it."""
    drifts = [value for one, other in zip(left, right, strict=True) for value in drift(one, other)]
    partings = [parting(one, other) for one, other in zip(left, right, strict=True)]
    parted = [at for at in partings if at is not None]
    print(
        f"{what}: {len(partings) - len(parted)} of {len(partings)} the same; log probabilities differ by "
        f"{statistics.median(drifts):.4f} (median), {max(drifts):.4f} (largest)"
    )
    for at in parted:
        print(f"  token {at.place}: {at.ours!r} {at.gap_ours:.3f} ahead, {at.theirs!r} {at.gap_theirs:.3f} ahead")
    assert statistics.median(drifts) < DRIFT_MEDIAN_MAX
    assert max(drifts) < DRIFT_MAX
    for at in parted:
        assert at.gap <= 2 * max(drifts), f"{what}: both were sure, and chose otherwise: {at}"
    assert len(parted) <= len(partings) // 5, f"{what}: ties are rarer than that"
