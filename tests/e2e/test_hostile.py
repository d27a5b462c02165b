"""One request must not end the process, stop the engine or open a breaker."""

import concurrent.futures

import httpx
import pytest

import metrics
from server import Server

GOOD = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "temperature": 0}


def schema(schema: dict) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "hostile", "schema": schema}}}


def chained_rules() -> dict:
    """Each rule refers to the next: 1,000 of them overflow a stack of 2 MiB."""
    rules = "".join(f"r{index}: r{index + 1}\n" for index in range(4000))
    return {"lark": f'start: r0\n{rules}r4000: "x"\n'}


def chained_references() -> dict:
    definitions = {str(index): {"$ref": f"#/$defs/{index + 1}"} for index in range(1400)}
    return schema({"$ref": "#/$defs/0", "$defs": {**definitions, "1400": {"type": "null"}}})


# Without limits the first two take minutes and gigabytes.
EXPLODING = {
    "multipleOf": schema({"type": "number", "multipleOf": 4999999}),
    "two multipleOf": schema({"allOf": [{"type": "integer", "multipleOf": n} for n in (997, 991)]}),
    "regex": {"regex": "(.|\\n)*(word)?" * 3000},
}


@pytest.mark.parametrize("attack", [chained_rules, chained_references], ids=lambda attack: attack.__name__)
def test_deep_recursion_does_not_end_the_process(server: Server, http: httpx.Client, attack) -> None:
    processes = server.process_tree()
    response = http.post("/v1/chat/completions", json={**GOOD, **attack()})
    assert response.status_code in (200, 400), response.text
    assert http.post("/v1/chat/completions", json=GOOD).status_code == 200
    assert server.process_tree() == processes


@pytest.mark.parametrize("name", EXPLODING)
def test_exploding_constraints_are_refused_by_field(server: Server, http: httpx.Client, name: str) -> None:
    body = EXPLODING[name]
    error = http.post("/v1/chat/completions", json={**GOOD, **body})
    assert error.status_code == 400, error.text
    assert error.json()["error"]["param"] in body, error.text
    assert http.post("/v1/chat/completions", json=GOOD).status_code == 200


def test_extreme_sampling_is_not_an_engine_failure(server: Server, http: httpx.Client) -> None:
    expected = http.post("/v1/chat/completions", json=GOOD).json()["choices"]
    extremes = [{"temperature": 1e-39}, {"temperature": 1e-6}, {"temperature": 2, "top_p": 1e-30, "min_p": 1}]
    bodies = [{**GOOD, **extreme} for extreme in extremes for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: http.post("/v1/chat/completions", json=body), bodies))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert [answer.json()["choices"] for answer in answers[:10]] == [expected] * 10, "a tiny temperature is greedy"
    refused = http.post("/v1/chat/completions", json={**GOOD, "repetition_penalty": 1e-38})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "repetition_penalty", refused.text
    assert metrics.read(server.url)["hostler_router_breaker_state"] == 0, "no breaker is open"
