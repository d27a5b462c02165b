"""Requests that are none, of every kind, from a seed."""

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
NO_NUMBER = ("hot", [1], {"a": 1}, True)
HUGE_BODY_BYTES = 20 * 1024 * 1024


@dataclass
class Malformed:
    """A body, the field that the answer must name, and the status that it must have."""

    kind: str
    body: bytes
    field: str
    status: int = 400


def requests(seed: int, count: int) -> list[Malformed]:
    """`count` requests, every kind in turn."""
    dice = random.Random(seed)
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
        no_object,
    ]
    made = [kinds[index % len(kinds)](dice) for index in range(count - 3)]
    huge = Malformed("huge body", b'{"messages": "' + b"a" * HUGE_BODY_BYTES + b'"}', "body", 413)
    return [*made, huge, huge, huge]


def changed(field: str, value: object) -> bytes:
    return json.dumps({**GOOD, field: value}).encode()


def broken_json(dice: random.Random) -> Malformed:
    """Cut anywhere before its end, so that it cannot be whole."""
    whole = json.dumps(GOOD).encode()
    return Malformed("broken JSON", whole[: dice.randrange(len(whole))], "")


def not_a_number(dice: random.Random) -> Malformed:
    field = dice.choice([*RANGES])
    value = dice.choice([float("nan"), float("inf"), float("-inf")])
    return Malformed("NaN", changed(field, value), field)


def wrong_type(dice: random.Random) -> Malformed:
    field = dice.choice([*RANGES, *WHOLE])
    return Malformed("wrong type", changed(field, dice.choice(NO_NUMBER)), field)


def out_of_range(dice: random.Random) -> Malformed:
    field = dice.choice([*RANGES])
    return Malformed("out of range", changed(field, RANGES[field][1] + dice.uniform(0.01, 1e6)), field)


def negative(dice: random.Random) -> Malformed:
    field = dice.choice(
        ["temperature", "top_p", "min_p", "repetition_penalty", "max_tokens", "min_tokens", "n", "timeout"]
    )
    return Malformed("negative", changed(field, -dice.randrange(1, 10**6)), field)


def huge_number(dice: random.Random) -> Malformed:
    field = dice.choice(["temperature", "top_p", "max_tokens", "n", "seed", "top_k"])
    digits = "9" * dice.randrange(25, 400)
    body = json.dumps({**GOOD, field: "HUGE"}).replace('"HUGE"', digits)
    return Malformed("huge number", body.encode(), field)


def deep_nesting(dice: random.Random) -> Malformed:
    field = dice.choice(["messages", "stop", "tools", "response_format"])
    depth = dice.randrange(200, 50_000)
    opening, closing = dice.choice([("[", "]"), ('{"a":', "}")])
    body = json.dumps({**GOOD, field: "DEEP"}).replace('"DEEP"', opening * depth + "1" + closing * depth)
    return Malformed("deep nesting", body.encode(), field)


def bad_utf8(dice: random.Random) -> Malformed:
    body = changed("messages", [{"role": "user", "content": "HERE"}])
    bad = dice.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"])
    return Malformed("bad UTF-8", body.replace(b"HERE", bad), "messages[0].content")


def missing_field(dice: random.Random) -> Malformed:
    if dice.random() < 0.5:
        return Malformed("missing field", json.dumps({"max_tokens": 4}).encode(), "messages")
    key = dice.choice(["role", "content"])
    message = {"role": "user", "content": "hi"}
    del message[key]
    return Malformed("missing field", changed("messages", [message]), f"messages[0].{key}")


def unknown_field(dice: random.Random) -> Malformed:
    field = "x" + "".join(dice.choices("abcdefgh_", k=8))
    return Malformed("unknown field", changed(field, 1), field)


def bad_message(dice: random.Random) -> Malformed:
    good = {"role": "user", "content": "hi"}
    position = dice.randrange(5)
    field, value = dice.choice([("role", "king"), ("role", 5), ("content", 5), ("content", {"a": 1}), ("name", [])])
    messages = [good] * position + [{**good, field: value}]
    return Malformed("bad message", changed("messages", messages), f"messages[{position}].{field}")


def no_object(dice: random.Random) -> Malformed:
    return Malformed("no object", dice.choice([b"", b"null", b"[]", b'"text"', b"5", b"[1, 2]", b"\x00\x01"]), "body")
