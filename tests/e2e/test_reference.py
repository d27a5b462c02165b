"""Compares greedy answers, one at a time and eight at a time, with llama.cpp's own server.

They are not equal to the last digit. Weights have eight bits, and activations are rounded to
eight bits in each product, so another order of additions, which changes the seventh digit,
can change the second digit where a value is rounded the other way. llama.cpp's server differs
from itself when it uses its other attention kernel, and that difference is the baseline:
Hostler must not be farther from llama.cpp's server than that server is from itself. A defect
looks different: answers diverge although both servers were certain. `Divergence.gap` in
reference.py tells the two cases apart.
"""

import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from conftest import ENGINES, make_server
from reference import WHEEL, Answer, ReferenceServer, ask_hostler, ask_reference, divergence, drift

ANSWER_TOKENS = 24
TOGETHER = 8
# Allowed distance relative to the baseline. Fifty answers are a small sample, and the largest
# of a thousand differences varies by chance.
MARGIN_MEDIAN, MARGIN_LARGEST, MARGIN_DIVERGED = 1.5, 2.0, 10

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
def test_fifty_answers_match_those_of_llama_cpp_s_server(tmp_path: Path) -> None:
    threads = len(os.sched_getaffinity(0))
    model = os.environ["HOSTLER_TEST_MODEL"]
    server = make_server("llamacpp", tmp_path).start()
    try:
        with httpx.Client(base_url=server.url, timeout=300) as hostler, ThreadPoolExecutor(TOGETHER) as pool:
            tokenized = [hostler.post("/tokenize", json={"prompt": p}).json()["tokens"] for p in PROMPTS]
            alone = [ask_hostler(hostler, tokens, ANSWER_TOKENS) for tokens in tokenized]
            together = list(pool.map(lambda tokens: ask_hostler(hostler, tokens, ANSWER_TOKENS), tokenized))
    finally:
        code = server.stop()
    assert code == 0, server.log_end()
    theirs = reference_answers(model, threads, tokenized)
    without_flash = reference_answers(model, threads, tokenized, "no-flash-attention")
    baseline = Distance.between("llama.cpp's server / the same without flash attention", theirs, without_flash)
    assert 0 < baseline.median < 0.1, "the baseline is implausible"
    for what, answers in [("alone", alone), ("eight at a time", together)]:
        nearest = min(
            (Distance.between(f"{what} / llama.cpp's server{name}", answers, reference) for name, reference in
             [("", theirs), (" without flash attention", without_flash)]),
            key=lambda distance: distance.median,
        )
        assert nearest.median <= MARGIN_MEDIAN * baseline.median
        assert nearest.largest <= MARGIN_LARGEST * baseline.largest
        assert nearest.diverged <= baseline.diverged + MARGIN_DIVERGED
    own = Distance.between("alone / eight at a time", alone, together)
    assert own.median <= MARGIN_MEDIAN * baseline.median


def reference_answers(model: str, threads: int, tokenized: list[list[int]], *options: str) -> list[Answer]:
    with (
        ReferenceServer(model, threads, *options) as reference,
        httpx.Client(base_url=reference.url, timeout=300) as http,
    ):
        body = {"content": PROMPTS[0], "add_special": True}
        assert http.post("/tokenize", json=body).json()["tokens"] == tokenized[0]
        return [ask_reference(http, tokens, ANSWER_TOKENS) for tokens in tokenized]


@dataclass
class Distance:
    """The distance between two sets of answers: the median and largest difference of the chosen
    tokens' log probabilities, and how many answers diverge."""

    median: float
    largest: float
    diverged: int

    @classmethod
    def between(cls, what: str, left: list[Answer], right: list[Answer]) -> "Distance":
        drifts = [value for one, other in zip(left, right, strict=True) for value in drift(one, other)]
        divergences = [divergence(one, other) for one, other in zip(left, right, strict=True)]
        diverged = [at for at in divergences if at is not None]
        distance = cls(statistics.median(drifts), max(drifts), len(diverged))
        print(
            f"{what}: {len(divergences) - len(diverged)} of {len(divergences)} the same; log probabilities differ by "
            f"{distance.median:.4f} (median), {distance.largest:.4f} (largest)"
        )
        for at in diverged:
            assert at.gap <= 2 * distance.largest, f"{what}: both servers were certain of different tokens: {at}"
        return distance
