"""The Messages API through Anthropic's client."""

from collections.abc import Iterator

import anthropic
import httpx
import pytest

from server import Server

REQUEST = {
    "max_tokens": 8,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "Name a colour."}],
}
GREEDY = {"extra_body": {"temperature": 0}}


@pytest.fixture(scope="session")
def claude(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=120) as client:
        yield client


def test_a_message_has_its_text_its_end_and_its_usage(claude: anthropic.Anthropic, model: str) -> None:
    message = claude.messages.create(model=model, **REQUEST, **GREEDY)
    assert (message.type, message.role, message.model) == ("message", "assistant", model)
    [block] = message.content
    assert block.type == "text"
    assert block.text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert 1 <= message.usage.output_tokens <= 8
    assert message._request_id


def test_a_streamed_message_equals_an_unstreamed_one(claude: anthropic.Anthropic, model: str) -> None:
    whole = claude.messages.create(model=model, **REQUEST, **GREEDY)
    with claude.messages.stream(model=model, **REQUEST, **GREEDY) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == whole.content[0].text == streamed.content[0].text
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    prompts = [m.usage.input_tokens + m.usage.cache_read_input_tokens for m in (streamed, whole)]
    assert prompts[0] == prompts[1]


def test_counted_tokens_are_those_of_the_prompt(claude: anthropic.Anthropic, model: str) -> None:
    counted = claude.messages.count_tokens(model=model, system=REQUEST["system"], messages=REQUEST["messages"])
    usage = claude.messages.create(model=model, **REQUEST, **GREEDY).usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


def test_a_stop_sequence_is_named(claude: anthropic.Anthropic, model: str) -> None:
    text = claude.messages.create(model=model, **REQUEST, **GREEDY).content[0].text
    stop = text[len(text) // 2 :][:2]
    stopped = claude.messages.create(model=model, stop_sequences=["\x01never", stop], **REQUEST, **GREEDY)
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", stop)
    assert "".join(block.text for block in stopped.content) == text[: text.index(stop)]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("max_tokens", {"max_tokens": 0}),
        ("tools[0].name", {"tools": [{"name": "f f", "input_schema": {"type": "object"}}]}),
    ],
)
def test_a_bad_request_names_its_field(claude: anthropic.Anthropic, model: str, field: str, fields: dict) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=model, **(REQUEST | fields))
    assert caught.value.type == "invalid_request_error"
    assert field in caught.value.body["error"]["message"]
    assert caught.value.request_id == caught.value.body["request_id"]


def test_an_unknown_model_is_not_found(claude: anthropic.Anthropic, http: httpx.Client) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="no-such-model", **REQUEST)
    assert caught.value.type == "not_found_error"
    assert http.get("/v1/messages/batches").json()["type"] == "error"
