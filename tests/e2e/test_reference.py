"""Greedy answers are those of llama.cpp's own server, alone and eight at a time.

Not to the last digit: the model's weights have eight bits, and so have, in each product,
the activations, so that a difference in the seventh digit, by another order of additions,
becomes one in the second where a number is rounded to its other neighbour. llama.cpp's
server differs from itself when its other kernel for attention is used. That is the yardstick
here: Hostler is no farther from it than it is from itself. A fault looks different: texts
part although both servers were sure. How the two are told apart: `reference.Parting.gap`.
"""

import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from conftest import ENGINES, make_server
from reference import WHEEL, Answer, ReferenceServer, ask_hostler, ask_reference, drift, parting

ANSWER_TOKENS = 24
TOGETHER = 8
# How much farther than the server is from itself. Fifty answers are a sample, and the
# largest of a thousand differences is one of chance.
MARGIN_MEDIAN, MARGIN_LARGEST, MARGIN_PARTED = 1.5, 2.0, 10

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
    otherwise = reference_answers(model, threads, tokenized, "no-flash-attention")
    yardstick = Distance.between("llama.cpp's server / the same without flash attention", theirs, otherwise)
    assert 0 < yardstick.median < 0.1, "this is no yardstick"
    for what, answers in [("alone", alone), ("eight at a time", together)]:
        nearest = min(
            (Distance.between(f"{what} / llama.cpp's server{name}", answers, reference) for name, reference in
             [("", theirs), (" without flash attention", otherwise)]),
            key=lambda distance: distance.median,
        )
        assert nearest.median <= MARGIN_MEDIAN * yardstick.median
        assert nearest.largest <= MARGIN_LARGEST * yardstick.largest
        assert nearest.parted <= yardstick.parted + MARGIN_PARTED
    own = Distance.between("alone / eight at a time", alone, together)
    assert own.median <= MARGIN_MEDIAN * yardstick.median


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
    """Between two sets of answers: of the log probabilities of chosen tokens, and how many
    answers part. Those that do are near a tie."""

    median: float
    largest: float
    parted: int

    @classmethod
    def between(cls, what: str, left: list[Answer], right: list[Answer]) -> "Distance":
        drifts = [value for one, other in zip(left, right, strict=True) for value in drift(one, other)]
        partings = [parting(one, other) for one, other in zip(left, right, strict=True)]
        parted = [at for at in partings if at is not None]
        distance = cls(statistics.median(drifts), max(drifts), len(parted))
        print(
            f"{what}: {len(partings) - len(parted)} of {len(partings)} the same; log probabilities differ by "
            f"{distance.median:.4f} (median), {distance.largest:.4f} (largest)"
        )
        for at in parted:
            assert at.gap <= 2 * distance.largest, f"{what}: both were sure, and chose otherwise: {at}"
        return distance
