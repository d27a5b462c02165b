"""Runs llama.cpp's own server, and compares its answers with Hostler's."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from server import START_SECONDS, free_port

ROOT = Path(__file__).parents[2]
WHEEL = ROOT / ".cache" / "bench"
ALTERNATIVES = 8


@dataclass
class Answer:
    """The tokens as text, with the log probabilities of the most likely tokens at each position."""

    tokens: list[str]
    chosen: list[float]
    top: list[dict[str, float]]


@dataclass
class Divergence:
    """The position at which two greedy answers diverge, and how close the two tokens were."""

    position: int
    ours: str
    theirs: str
    # The log probability by which the other server's token is behind, as each server sees it.
    gap_ours: float
    gap_theirs: float

    @property
    def gap(self) -> float:
        """If both servers are right, at most twice the difference of their log probabilities here."""
        return self.gap_ours + self.gap_theirs


class ReferenceServer:
    """The server in the wheel that `make bench` measures against, with Hostler's defaults."""

    def __init__(self, model: str, threads: int, *options: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = {**os.environ, "PYTHONPATH": str(WHEEL), "GOMP_SPINCOUNT": "1000"}
        script = ROOT / "scripts" / "reference_server.py"
        port = self.url.rpartition(":")[2]
        self.process = subprocess.Popen(
            [sys.executable, script, model, port, str(threads), *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "ReferenceServer":
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"llama.cpp's server exited with {self.process.returncode}")
            try:
                if httpx.get(f"{self.url}/health", timeout=10).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"llama.cpp's server was not ready in {START_SECONDS} s")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ask_reference(http: httpx.Client, tokens: list[int], count: int) -> Answer:
    """A greedy answer of llama.cpp's server, without its prompt cache."""
    body = {
        "prompt": tokens,
        "n_predict": count,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "n_probs": ALTERNATIVES,
    }
    tokens_of_answer = http.post("/completion", json=body).raise_for_status().json()["completion_probabilities"]
    return Answer(
        tokens=[each["token"] for each in tokens_of_answer],
        chosen=[each["logprob"] for each in tokens_of_answer],
        top=[{top["token"]: top["logprob"] for top in each["top_logprobs"]} for each in tokens_of_answer],
    )


def ask_hostler(http: httpx.Client, tokens: list[int], count: int) -> Answer:
    """A greedy answer of Hostler."""
    body = {
        "prompt": tokens,
        "max_tokens": count,
        "temperature": 0,
        "ignore_eos": True,
        "logprobs": ALTERNATIVES,
    }
    [choice] = http.post("/v1/completions", json=body).raise_for_status().json()["choices"]
    logprobs = choice["logprobs"]
    return Answer(tokens=logprobs["tokens"], chosen=logprobs["token_logprobs"], top=logprobs["top_logprobs"])


def divergence(ours: Answer, theirs: Answer) -> Divergence | None:
    """Where two answers to one prompt diverge, if they do."""
    for position, (mine, other) in enumerate(zip(ours.tokens, theirs.tokens, strict=True)):
        if mine != other:
            absent = float("-inf")
            return Divergence(
                position=position,
                ours=mine,
                theirs=other,
                gap_ours=ours.chosen[position] - ours.top[position].get(other, absent),
                gap_theirs=theirs.chosen[position] - theirs.top[position].get(mine, absent),
            )
    return None


def drift(ours: Answer, theirs: Answer) -> list[float]:
    """The differences of the chosen tokens' log probabilities, up to where the answers diverge."""
    at = divergence(ours, theirs)
    same = len(ours.tokens) if at is None else at.position
    return [abs(mine - other) for mine, other in zip(ours.chosen[:same], theirs.chosen[:same], strict=True)]
