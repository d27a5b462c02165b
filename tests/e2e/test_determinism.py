"""The same prompt gives the same text: alone or in a batch, through every endpoint."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

ROUNDS = 20
MAX_TOKENS = 8

# Lengths differ, so that an engine that mixes up sequences of a batch is detected.
PROMPTS = [
    "One, two, three,",
    "The capital of France is",
    "Water boils at",
    "Red, green,",
    "Once upon a time, in a small village by the sea,",
    "def add(a, b):",
    "Monday, Tuesday,",
    "The opposite of hot is",
]


def generate(http: httpx.Client, prompt: str) -> str:
    body = {"prompt": prompt, "max_tokens": MAX_TOKENS, "temperature": 0}
    return http.post("/generate", json=body).raise_for_status().json()["data"]["text"]


def chat(http: httpx.Client, prompt: str) -> str:
    messages = [{"role": "system", "content": "Go on."}, {"role": "user", "content": prompt}]
    body = {"messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0}
    answer = http.post("/v1/chat/completions", json=body).raise_for_status().json()
    return answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("endpoint", [generate, chat])
def test_concurrent_equals_solo(http: httpx.Client, endpoint) -> None:
    solo = [endpoint(http, prompt) for prompt in PROMPTS]
    assert len(set(solo)) > 1, "all prompts have the same answer, so the test proves nothing"
    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        for number in range(ROUNDS):
            together = list(pool.map(lambda prompt: endpoint(http, prompt), PROMPTS))
            assert together == solo, f"round {number}"


def streamed(http: httpx.Client, path: str, body: dict) -> list[dict]:
    with http.stream("POST", path, json={**body, "stream": True}) as response:
        response.raise_for_status()
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(chunk) for chunk in data]


def test_every_endpoint_gives_the_same_text(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Tell me of the sea."}]
    tokens = http.post("/tokenize", json={"messages": messages}).json()["tokens"]
    greedy = {"max_tokens": 24, "temperature": 0}
    by_chat = {"messages": messages, **greedy}
    by_tokens = {"prompt": tokens, **greedy}
    chunks = streamed(http, "/v1/chat/completions", by_chat)
    texts = {
        "chat": http.post("/v1/chat/completions", json=by_chat).json()["choices"][0]["message"]["content"],
        "chat stream": "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks),
        "completion": http.post("/v1/completions", json=by_tokens).json()["choices"][0]["text"],
        "completion stream": "".join(c["choices"][0]["text"] for c in streamed(http, "/v1/completions", by_tokens)),
        "generate": http.post("/generate", json=by_tokens).json()["data"]["text"],
        "generate stream": "".join(event["text"] for event in streamed(http, "/generate_stream", by_tokens)),
    }
    assert len(set(texts.values())) == 1, texts
