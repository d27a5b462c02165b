"""The Responses API through OpenAI's client, with the simulated engine and a script."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from conftest import make_server
from server import Server

SETTINGS = """
[[scheduler.simulated.script]]
reasoning = "I need the weather."
calls = [{ name = "weather", arguments = { city = "Bern" } }]

[[scheduler.simulated.script]]
text = "It is sunny."

[server.api_keys]
alice = { key = "alice-key", role = "user" }
bob = { key = "bob-key-2", role = "user" }
"""
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
QUESTION = {"model": "simulated", "tools": [WEATHER], "input": "How is the weather in Bern?"}


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Server]:
    store = f'\n[server.responses]\nstore = "{tmp_path / "responses"}"\n'
    server = make_server("simulated", tmp_path, SETTINGS + store).start()
    try:
        yield server
    finally:
        server.kill()


def connect(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=60)


def test_a_tool_is_called_and_its_result_continues_the_response(scripted: Server) -> None:
    client = connect(scripted, "alice-key")
    model = client.models.list().data[0].id
    question = QUESTION | {"model": model}
    first = client.responses.create(**question)
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    assert first.output[0].content[0].text == "I need the weather."
    call = first.output[1]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Bern"})
    assert first.usage.output_tokens_details.reasoning_tokens > 0

    with client.responses.stream(**question) as stream:
        events = list(stream)
        streamed = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [item.type for item in streamed.output] == ["reasoning", "function_call"]
    assert streamed.output[1].arguments == call.arguments

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = client.responses.create(model=model, tools=[WEATHER], input=[result], previous_response_id=first.id)
    assert (second.status, second.output_text) == ("completed", "It is sunny.")
    assert client.responses.retrieve(second.id).output_text == second.output_text
    kinds = [item.type for item in client.responses.input_items.list(second.id, order="asc").data]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]

    other = connect(scripted, "bob-key-2")
    with pytest.raises(openai.NotFoundError):
        other.responses.retrieve(second.id)
    with pytest.raises(openai.NotFoundError):
        other.responses.create(model=model, input="a", previous_response_id=second.id)
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)


def test_a_stored_response_survives_a_restart(scripted: Server) -> None:
    client = connect(scripted, "alice-key")
    response = client.responses.create(model=client.models.list().data[0].id, input="hello", max_output_tokens=4)
    assert scripted.stop() == 0
    scripted.start()
    assert client.responses.retrieve(response.id) == response
