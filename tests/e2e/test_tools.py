"""Tools and reasoning through OpenAI's client, with a simulated engine that plays a script."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pydantic
import pytest

import metrics
from conftest import make_server

SCRIPT = """
[scheduler.simulated.cost]
decode_step_ms = 0.0

[[scheduler.simulated.script]]
reasoning = "I need the weather; STOP is a word."
text = "I look."

[[scheduler.simulated.script.calls]]
name = "get_weather"
arguments = { city = "Kyōto", days = 2 }

[[scheduler.simulated.script.calls]]
name = "get_time"

[[scheduler.simulated.script]]
text = "It rains in Kyōto. STOP here."
"""
CALLS = [("get_weather", {"city": "Kyōto", "days": 2}), ("get_time", {})]
QUESTION = {"role": "user", "content": "How is the weather?"}


def function(name: str, properties: dict) -> dict:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": "Tells it.", "parameters": parameters}}


TOOLS = [
    function("get_weather", {"city": {"type": "string"}, "days": {"type": "integer"}}),
    function("get_time", {}),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = make_server("simulated", tmp_path_factory.mktemp("tools"), SCRIPT).start()
    try:
        yield server.url
    finally:
        server.kill()


@pytest.fixture(scope="module")
def chat(url: str) -> Iterator[openai.resources.chat.Completions]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client.chat.completions


REQUEST = {"model": "simulated", "messages": [QUESTION], "tools": TOOLS}


def test_an_answer_has_reasoning_text_and_calls(chat: openai.resources.chat.Completions) -> None:
    answer = chat.create(**REQUEST)
    [choice] = answer.choices
    message = choice.message
    assert message.reasoning_content == "I need the weather; STOP is a word."
    assert message.content == "I look."
    assert [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == CALLS
    assert len({call.id for call in message.tool_calls}) == 2
    assert all(call.type == "function" for call in message.tool_calls)
    assert choice.finish_reason == "tool_calls"
    assert 0 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens


def test_a_stream_is_the_whole_answer_in_pieces(chat: openai.resources.chat.Completions) -> None:
    whole = chat.create(**REQUEST)
    chunks = list(chat.create(**REQUEST, stream=True, stream_options={"include_usage": True}))
    reasoning, text, calls = "", "", []
    for chunk in chunks[:-1]:
        [choice] = chunk.choices
        delta = choice.delta
        reasoning += getattr(delta, "reasoning_content", None) or ""
        text += delta.content or ""
        for call in delta.tool_calls or []:
            if call.id:
                assert (call.index, call.type, call.function.arguments) == (len(calls), "function", "")
                calls.append([call.function.name, ""])
            else:
                assert (call.index, call.type, call.function.name) == (len(calls) - 1, None, None)
                calls[call.index][1] += call.function.arguments
    message = whole.choices[0].message
    assert (reasoning, text) == (message.reasoning_content, message.content)
    assert calls == [[call.function.name, call.function.arguments] for call in message.tool_calls]
    assert choice.finish_reason == "tool_calls"
    assert chunks[-1].usage.completion_tokens_details == whole.usage.completion_tokens_details


def test_the_results_of_calls_are_answered(chat: openai.resources.chat.Completions) -> None:
    message = chat.create(**REQUEST).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls]
    history = [QUESTION, message.model_dump(exclude_none=True), *results]
    # The history may have calls although the request has no tools.
    for tools in ({"tools": TOOLS}, {}):
        answer = chat.create(model="simulated", messages=history, **tools).choices[0]
        assert answer.message.content == "It rains in Kyōto. STOP here."
        assert answer.message.tool_calls is None
        assert answer.finish_reason == "stop"


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "get_weather"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS[:1]}},
    ],
)
def test_a_call_can_be_forced(chat: openai.resources.chat.Completions, choice: str | dict) -> None:
    answer = chat.create(**REQUEST, tool_choice=choice, parallel_tool_calls=False).choices[0]
    assert answer.message.tool_calls[0].function.name == "get_weather"
    assert answer.finish_reason == "tool_calls"


def test_without_a_choice_of_tools_nothing_is_called(chat: openai.resources.chat.Completions) -> None:
    answer = chat.create(**REQUEST, tool_choice="none").choices[0]
    assert answer.message.tool_calls is None
    assert answer.finish_reason == "stop"


def test_every_answer_of_several_has_its_own_calls(chat: openai.resources.chat.Completions) -> None:
    answer = chat.create(**REQUEST, n=3)
    calls = [call for choice in answer.choices for call in choice.message.tool_calls]
    assert [call.function.name for call in calls] == [name for name, _ in CALLS] * 3
    assert len({call.id for call in calls}) == 6


def test_a_cut_call_is_reported_as_far_as_it_was_written(chat: openai.resources.chat.Completions) -> None:
    whole = chat.create(**REQUEST)
    arguments = whole.choices[0].message.tool_calls[0].function.arguments
    cuts = set()
    for tokens in range(whole.usage.completion_tokens - 120, whole.usage.completion_tokens, 17):
        cut = chat.create(**REQUEST, max_tokens=tokens).choices[0]
        assert cut.finish_reason == "length"
        for call in (cut.message.tool_calls or [])[:1]:
            assert arguments.startswith(call.function.arguments)
            cuts.add(call.function.arguments)
    assert cuts


def test_a_stop_sequence_ends_the_answer_and_not_the_reasoning(chat: openai.resources.chat.Completions) -> None:
    answer = chat.create(**REQUEST, stop=["STOP", "look"]).choices[0]
    assert answer.message.reasoning_content == "I need the weather; STOP is a word."
    assert (answer.message.content, answer.finish_reason) == ("I ", "stop")


class GetWeather(pydantic.BaseModel):
    """Tells the weather."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


class GetTime(pydantic.BaseModel):
    """Tells the time."""

    model_config = pydantic.ConfigDict(extra="forbid")


def test_calls_are_parsed_by_the_client(url: str) -> None:
    tools = [
        openai.pydantic_function_tool(GetWeather, name="get_weather"),
        openai.pydantic_function_tool(GetTime, name="get_time"),
    ]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        parsed = client.chat.completions.parse(model="simulated", messages=[QUESTION], tools=tools)
        [weather, time] = [call.function.parsed_arguments for call in parsed.choices[0].message.tool_calls]
        assert (weather, time) == (GetWeather(city="Kyōto", days=2), GetTime())
        with client.chat.completions.stream(model="simulated", messages=[QUESTION], tools=tools) as stream:
            final = stream.get_final_completion()
    assert [call.function.parsed_arguments for call in final.choices[0].message.tool_calls] == [weather, time]


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("tools[0].function.name", {"tools": [function("a b", {})]}),
        ("tools[1].function.name", {"tools": TOOLS[:1] * 2}),
        ("tool_choice", {"tools": [], "tool_choice": "required"}),
        ("tool_choice", {"tool_choice": {"type": "function", "function": {"name": "no_tool"}}}),
    ],
)
def test_a_wrong_tool_is_named(chat: openai.resources.chat.Completions, param: str, fields: dict) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.create(**(REQUEST | fields))
    assert caught.value.param == param
    assert param in caught.value.message


def test_a_call_is_continued_on_another_scheduler(tmp_path: Path) -> None:
    failing = SCRIPT + (
        '\n[schedulers.one]\nisolation = "thread"\n[schedulers.two]\nisolation = "thread"\n'
        '[schedulers.two.simulated.faults.sequence]\nkind = "fail"\nafter_tokens = 120\nevery = 1\n'
    )
    server = make_server("simulated", tmp_path, failing).start()
    try:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
            answers = [client.chat.completions.create(**REQUEST, n=2) for _ in range(8)]
        moved = metrics.read(server.url)["hostler_router_migrations_total"]
    finally:
        server.kill()
    for choice in (choice for answer in answers for choice in answer.choices):
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
        assert (choice.message.content, calls, choice.finish_reason) == ("I look.", CALLS, "tool_calls")
    assert moved > 0
