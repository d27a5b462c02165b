"""llama.cpp's own server, and answers of both servers that can be compared."""

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
    """Tokens by their text, with the log probabilities of the likeliest at each place."""

    tokens: list[str]
    chosen: list[float]
    top: list[dict[str, float]]


@dataclass
class Parting:
    """The place at which two greedy answers part, and how near a tie it was."""

    place: int
    ours: str
    theirs: str
    # How far the other server's token was behind, by each server's own numbers.
    gap_ours: float
    gap_theirs: float

    @property
    def gap(self) -> float:
        """At most twice the difference between the two servers' numbers at this place, if both chose rightly."""
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
                raise RuntimeError(f"llama.cpp's server ended with {self.process.returncode}")
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
    """A greedy answer of llama.cpp's server; nothing is reused from earlier prompts."""
    body = {
        "prompt": tokens,
        "n_predict": count,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "n_probs": ALTERNATIVES,
    }
    places = http.post("/completion", json=body).raise_for_status().json()["completion_probabilities"]
    return Answer(
        tokens=[place["token"] for place in places],
        chosen=[place["logprob"] for place in places],
        top=[{top["token"]: top["logprob"] for top in place["top_logprobs"]} for place in places],
    )


def ask_hostler(http: httpx.Client, tokens: list[int], count: int) -> Answer:
    """A greedy answer of Hostler's."""
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


def parting(ours: Answer, theirs: Answer) -> Parting | None:
    """Where two answers to one prompt part, if they do."""
    for place, (mine, other) in enumerate(zip(ours.tokens, theirs.tokens, strict=True)):
        if mine != other:
            behind = float("inf")
            return Parting(
                place=place,
                ours=mine,
                theirs=other,
                gap_ours=ours.chosen[place] - ours.top[place].get(other, -behind),
                gap_theirs=theirs.chosen[place] - theirs.top[place].get(mine, -behind),
            )
    return None


def drift(ours: Answer, theirs: Answer) -> list[float]:
    """How far the log probabilities of the chosen tokens are apart, up to where the answers part."""
    at = parting(ours, theirs)
    same = len(ours.tokens) if at is None else at.place
    return [abs(mine - other) for mine, other in zip(ours.chosen[:same], theirs.chosen[:same], strict=True)]
