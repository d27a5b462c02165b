"""Malformed requests of every kind, generated from a seed."""

import json
import random
from dataclasses import dataclass

GOOD = {
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 4,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": ["x"],
    "seed": 1,
    "stream": False,
}

RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repetition_penalty": (0, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
WHOLE = ("max_tokens", "min_tokens", "n", "seed", "top_logprobs")
NOT_NUMBERS = ("hot", [1], {"a": 1}, True)
HUGE_BODY_BYTES = 20 * 1024 * 1024


@dataclass
class Malformed:
    """A body, the field that the error must name, and the expected status."""

    kind: str
    body: bytes
    field: str
    status: int = 400


HUGE = Malformed("huge body", b'{"messages": "' + b"a" * HUGE_BODY_BYTES + b'"}', "body", 413)


def requests(seed: int, count: int) -> list[Malformed]:
    """`count` requests, of each kind in turn."""
    rng = random.Random(seed)
    kinds = [
        broken_json,
        not_a_number,
        wrong_type,
        out_of_range,
        negative,
        huge_number,
        deep_nesting,
        bad_utf8,
        missing_field,
        unknown_field,
        bad_message,
        not_an_object,
    ]
    made = [kinds[index % len(kinds)](rng) for index in range(count - 3)]
    return [*made, HUGE, HUGE, HUGE]


def changed(field: str, value: object) -> bytes:
    return json.dumps({**GOOD, field: value}).encode()


def broken_json(rng: random.Random) -> Malformed:
    """Truncated at a random position."""
    whole = json.dumps(GOOD).encode()
    return Malformed("broken JSON", whole[: rng.randrange(len(whole))], "")


def not_a_number(rng: random.Random) -> Malformed:
    field = rng.choice([*RANGES])
    value = rng.choice([float("nan"), float("inf"), float("-inf")])
    return Malformed("NaN", changed(field, value), field)


def wrong_type(rng: random.Random) -> Malformed:
    field = rng.choice([*RANGES, *WHOLE])
    return Malformed("wrong type", changed(field, rng.choice(NOT_NUMBERS)), field)


def out_of_range(rng: random.Random) -> Malformed:
    field = rng.choice([*RANGES])
    return Malformed("out of range", changed(field, RANGES[field][1] + rng.uniform(0.01, 1e6)), field)


def negative(rng: random.Random) -> Malformed:
    field = rng.choice(
        ["temperature", "top_p", "min_p", "repetition_penalty", "max_tokens", "min_tokens", "n", "timeout"]
    )
    return Malformed("negative", changed(field, -rng.randrange(1, 10**6)), field)


def huge_number(rng: random.Random) -> Malformed:
    field = rng.choice(["temperature", "top_p", "max_tokens", "n", "seed", "top_k"])
    digits = "9" * rng.randrange(25, 400)
    body = json.dumps({**GOOD, field: "HUGE"}).replace('"HUGE"', digits)
    return Malformed("huge number", body.encode(), field)


def deep_nesting(rng: random.Random) -> Malformed:
    field = rng.choice(["messages", "stop", "tools", "response_format"])
    depth = rng.randrange(200, 50_000)
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    body = json.dumps({**GOOD, field: "DEEP"}).replace('"DEEP"', opening * depth + "1" + closing * depth)
    return Malformed("deep nesting", body.encode(), field)


def bad_utf8(rng: random.Random) -> Malformed:
    body = changed("messages", [{"role": "user", "content": "HERE"}])
    bad = rng.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"])
    return Malformed("bad UTF-8", body.replace(b"HERE", bad), "messages[0].content")


def missing_field(rng: random.Random) -> Malformed:
    if rng.random() < 0.5:
        return Malformed("missing field", json.dumps({"max_tokens": 4}).encode(), "messages")
    key = rng.choice(["role", "content"])
    message = {"role": "user", "content": "hi"}
    del message[key]
    return Malformed("missing field", changed("messages", [message]), f"messages[0].{key}")


def unknown_field(rng: random.Random) -> Malformed:
    # Other unknown fields are ignored.
    field = rng.choice(["temprature", "mesages", "max_tokenss", "sead", "stpo"])
    return Malformed("misspelt field", changed(field, 1), field)


def bad_message(rng: random.Random) -> Malformed:
    good = {"role": "user", "content": "hi"}
    position = rng.randrange(5)
    field, value = rng.choice([("role", "king"), ("role", 5), ("content", 5), ("content", {"a": 1}), ("name", [])])
    messages = [good] * position + [{**good, field: value}]
    return Malformed("bad message", changed("messages", messages), f"messages[{position}].{field}")


def not_an_object(rng: random.Random) -> Malformed:
    return Malformed("not an object", rng.choice([b"", b"null", b"[]", b'"text"', b"5", b"[1, 2]", b"\x00\x01"]), "body")
