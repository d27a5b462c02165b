"""Tools and thinking through Anthropic's client, with a simulated engine that plays a script."""

from collections.abc import Iterator

import anthropic
import pytest

from conftest import make_server
from test_tools import CALLS, SCRIPT

TOOLS = [
    {
        "name": "get_weather",
        "description": "Tells the weather.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
        "cache_control": {"type": "ephemeral"},
    },
    {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
]
QUESTION = {"role": "user", "content": "How is the weather?"}
REQUEST = {"model": "simulated", "max_tokens": 1000, "messages": [QUESTION], "tools": TOOLS}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[anthropic.resources.Messages]:
    server = make_server("simulated", tmp_path_factory.mktemp("anthropic"), SCRIPT).start()
    try:
        with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60) as client:
            yield client.messages
    finally:
        server.kill()


def test_a_message_has_thinking_text_and_calls(messages: anthropic.resources.Messages) -> None:
    message = messages.create(**REQUEST)
    thinking, text, *calls = message.content
    assert (thinking.type, thinking.thinking) == ("thinking", "I need the weather; STOP is a word.")
    assert (text.type, text.text) == ("text", "I look.")
    assert [(call.type, call.name, call.input) for call in calls] == [("tool_use", *call) for call in CALLS]
    assert message.stop_reason == "tool_use"


def test_a_stream_is_the_whole_message_in_pieces(messages: anthropic.resources.Messages) -> None:
    whole = messages.create(**REQUEST)
    with messages.stream(**REQUEST) as stream:
        kinds = {event.delta.type for event in stream if event.type == "content_block_delta"}
        streamed = stream.get_final_message()
    assert kinds == {"thinking_delta", "text_delta", "input_json_delta"}
    without_ids = [[block.model_dump(exclude={"id"}) for block in message.content] for message in (whole, streamed)]
    assert without_ids[0] == without_ids[1]
    assert streamed.stop_reason == whole.stop_reason == "tool_use"


@pytest.mark.parametrize("is_error", [False, True])
def test_the_results_of_calls_are_answered(messages: anthropic.resources.Messages, is_error: bool) -> None:
    message = messages.create(**REQUEST, thinking={"type": "enabled", "budget_tokens": 1024})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "rain", "is_error": is_error}
        for block in message.content
        if block.type == "tool_use"
    ]
    history = [
        QUESTION,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [*results, {"type": "text", "text": "Go on."}]},
    ]
    answer = messages.create(**(REQUEST | {"messages": history}))
    assert [block.text for block in answer.content] == ["It rains in Kyōto. STOP here."]
    assert answer.stop_reason == "end_turn"
    counted = messages.count_tokens(model="simulated", messages=history, tools=TOOLS)
    assert counted.input_tokens == answer.usage.input_tokens + answer.usage.cache_read_input_tokens


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_call_can_be_forced(messages: anthropic.resources.Messages, choice: dict) -> None:
    message = messages.create(**REQUEST, tool_choice=choice | {"disable_parallel_tool_use": True})
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("tools[0].name", {"tools": [TOOLS[0] | {"name": "a b"}]}),
        ("tools[0].type", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("tool_choice", {"tool_choice": {"type": "tool", "name": "no_tool"}}),
    ],
)
def test_a_wrong_tool_is_named(messages: anthropic.resources.Messages, field: str, fields: dict) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        messages.create(**(REQUEST | fields))
    assert field in caught.value.body["error"]["message"]
