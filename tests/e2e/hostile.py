"""Requests of a hostile client, generated from a random generator: constraints, sampling extremes,
huge and slow bodies, disconnects at random bytes, floods of texts."""

import json
import random
import socket
import string
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

import malformed

# What a hostile request may be answered: a result, a refusal that names the fault, or a busy
# server. Anything else, such as 500 and 502, is a failure of the server.
STATUSES = {200, 400, 408, 413, 415, 422, 429, 503, 504}
# The largest body that the server accepts by default is 1 MiB.
TEXT_BYTES = 1_000_000
TIMEOUT_SECONDS = 120
SCHEMA_DEPTH = 5


@dataclass
class Hostile:
    """A client that attacks the server at `url`. `act` makes one random attack."""

    url: str
    headers: dict[str, str]
    rng: random.Random

    def act(self) -> tuple[str, str | None]:
        """The name of the attack, and what was wrong with the answer."""
        attack = self.rng.choice(ATTACKS)
        try:
            status = attack(self)
        except httpx.RemoteProtocolError as error:
            # The server closes a connection after it has refused a body that is still sent.
            return attack.__name__, None if attack is Hostile.malformed_body else repr(error)
        except (httpx.WriteError, httpx.ReadError) as error:
            return attack.__name__, None if attack is Hostile.malformed_body else repr(error)
        wrong = status is not None and status not in STATUSES
        return attack.__name__, f"status {status}" if wrong else None

    def post(self, path: str, body: dict | bytes) -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self.headers, "content-type": "application/json"}
        return httpx.post(self.url + path, content=content, headers=headers, timeout=TIMEOUT_SECONDS).status_code

    def chat(self, **fields: object) -> int:
        return self.post("/v1/chat/completions", {**chat(self.rng), **fields})

    def random_schema(self) -> int:
        schema = {"name": "hostile", "schema": random_schema(self.rng, SCHEMA_DEPTH)}
        return self.chat(response_format={"type": "json_schema", "json_schema": schema})

    def random_regex(self) -> int:
        return self.chat(regex=random_regex(self.rng, SCHEMA_DEPTH))

    def random_grammar(self) -> int:
        return self.chat(lark=random_grammar(self.rng))

    def extreme_sampling(self) -> int:
        return self.chat(**random_sampling(self.rng))

    def malformed_body(self) -> int:
        return self.post("/v1/chat/completions", malformed_body(self.rng))

    def long_prompt(self) -> int:
        return self.post("/v1/completions", {"prompt": long_text(self.rng), "max_tokens": 1})

    def slow_body(self) -> None:
        """Sends a body in small pieces, and leaves before its end."""
        payload = request_bytes(self.rng, self.headers)
        with connect(self.url) as client:
            for start in range(0, self.rng.randrange(len(payload)), 40):
                client.sendall(payload[start : start + 40])
                time.sleep(0.01)

    def disconnect(self) -> None:
        """Leaves at a random byte of the request, or of its answer."""
        payload = request_bytes(self.rng, self.headers)
        with connect(self.url) as client:
            if self.rng.random() < 0.5:
                client.sendall(payload[: self.rng.randrange(len(payload))])
                return
            client.sendall(payload)
            left = self.rng.randrange(2000)
            while left > 0 and (received := client.recv(left)):
                left -= len(received)

    def tokenize(self) -> int:
        path, field = self.rng.choice([("/tokenize", "prompt"), ("/encode", "text")])
        return self.post(path, {field: long_text(self.rng), "add_special_tokens": self.rng.random() < 0.5})

    def detokenize(self) -> int:
        tokens = [self.rng.randrange(1 << self.rng.randrange(1, 33)) for _ in range(self.rng.randrange(50_000))]
        return self.post("/detokenize", {"tokens": tokens})

    def embed(self) -> int:
        texts = [short_text(self.rng) for _ in range(self.rng.choice([1, 16, 2048]))]
        return self.post("/v1/embeddings", {"input": texts, "encoding_format": self.rng.choice(["float", "base64"])})

    def many_answers(self) -> int:
        return self.chat(n=self.rng.randrange(1, 200), max_tokens=self.rng.randrange(0, 6))


ATTACKS: list[Callable[[Hostile], int | None]] = [
    Hostile.random_schema,
    Hostile.random_regex,
    Hostile.random_grammar,
    Hostile.extreme_sampling,
    Hostile.malformed_body,
    Hostile.long_prompt,
    Hostile.slow_body,
    Hostile.disconnect,
    Hostile.tokenize,
    Hostile.detokenize,
    Hostile.embed,
    Hostile.many_answers,
]


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)


def request_bytes(rng: random.Random, headers: dict[str, str]) -> bytes:
    body = json.dumps({**chat(rng), "max_tokens": 64, "stream": rng.random() < 0.7}).encode()
    lines = {**headers, "host": "localhost", "content-type": "application/json", "content-length": str(len(body))}
    # Otherwise a client that waits for more than the answer waits for the end of the connection.
    lines["connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body


def chat(rng: random.Random) -> dict:
    return {"messages": [{"role": "user", "content": short_text(rng)}], "max_tokens": rng.choice([1, 4, 16])}


def short_text(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_letters + " äß€𝄞\u202e\x00", k=rng.randrange(1, 60)))


def long_text(rng: random.Random) -> str:
    piece = rng.choice(["a", " ", "word ", "é", "\u0301", "<|im_start|>", short_text(rng)])
    return piece * (rng.randrange(TEXT_BYTES // 2) // len(json.dumps(piece)))


def malformed_body(rng: random.Random) -> bytes:
    return rng.choice(malformed.requests(rng.randrange(1 << 32), 15)).body


def random_sampling(rng: random.Random) -> dict:
    values = [0, 1e-39, 1e-6, 1e-3, 1, 1.999, 2, 1e38, -2, 0.5]
    fields = ["temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"]
    chosen: dict = {field: rng.choice(values) for field in rng.sample(fields, rng.randrange(1, 5))}
    if rng.random() < 0.3:
        chosen |= {"top_k": rng.choice([0, 1, 1 << 31]), "seed": rng.choice([0, -1, (1 << 63) - 1])}
    if rng.random() < 0.3:
        chosen |= {"logit_bias": {str(rng.randrange(50_000)): rng.choice([-100, 100]) for _ in range(300)}}
    if rng.random() < 0.3:
        chosen |= {"logprobs": True, "top_logprobs": rng.choice([0, 20])}
    return chosen


def random_schema(rng: random.Random, depth: int) -> dict:
    """A schema of nested kinds, with numbers that make automata explode."""
    kinds = ["number", "text", "enum"] + ["object", "array", "union", "chain"] * (depth > 1)
    match rng.choice(kinds):
        case "number":
            return {"type": rng.choice(["number", "integer"]), rng.choice(["multipleOf", "minimum"]): 10 ** rng.randrange(9) - 1}
        case "text":
            return {"type": "string", "pattern": random_regex(rng, depth), "maxLength": 10 ** rng.randrange(6)}
        case "enum":
            return {"enum": [short_text(rng) for _ in range(rng.choice([1, 30, 1000]))]}
        case "object":
            names = [f"p{index}" for index in range(rng.choice([1, 5, 20]))]
            return {"type": "object", "properties": {name: random_schema(rng, depth - 2) for name in names}, "required": names}
        case "array":
            return {"type": "array", "items": random_schema(rng, depth - 1), "minItems": 10 ** rng.randrange(5)}
        case "union":
            return {rng.choice(["anyOf", "allOf", "oneOf"]): [random_schema(rng, depth - 2) for _ in range(rng.randrange(1, 6))]}
    length = rng.choice([10, 300, 2000])
    links = {str(index): {"$ref": f"#/$defs/{index + 1}"} for index in range(length)}
    return {"$ref": "#/$defs/0", "$defs": {**links, str(length): {"type": "null"}}}


def random_regex(rng: random.Random, depth: int) -> str:
    if depth <= 0:
        return rng.choice(["a", ".", "\\w", "[^x]", "\\d", "(", "\\p{L}", "ä"])
    inner = random_regex(rng, depth - 1)
    repeat = rng.choice(["*", "+", "?", "{1000}", "{0,99}", "{5,}", "|b", ""])
    return f"({inner}){repeat}" * rng.choice([1, 1, 2, 20])


def random_grammar(rng: random.Random) -> str:
    """Rules that refer to each other at random: chains, cycles, ambiguity and missing rules."""
    count = rng.choice([2, 10, 100, 1500])
    forward = rng.random() < 0.5

    def target(rule: int) -> str:
        return f"r{min(rule + 1, count - 1)}" if forward else f"r{rng.randrange(count + (rng.random() < 0.01))}"

    def body(rule: int) -> str:
        return rng.choice(['"x"', "/[a-z]+/", target(rule), f"{target(rule)} {target(rule)}", f"({target(rule)} | \"y\")*"])

    rules = [f"r{rule}: {body(rule)}" for rule in range(count - 1)] + [f'r{count - 1}: "z"']
    return "\n".join(["start: r0", *rules]) + "\n"
