"""The API through OpenAI's client."""

import httpx
import openai
import pytest

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a colour."}]
TOO_LONG = "word " * 5000


def test_models_are_listed_with_their_engine(client: openai.OpenAI, engine: str) -> None:
    [model] = client.models.list().data
    assert model.metadata["engine"] == engine
    assert model.metadata["context_length"] == 2048
    assert model.metadata["simulated"] == (engine == "simulated")
    assert client.models.retrieve(model.id).id == model.id


def test_a_chat_has_an_answer_and_its_usage(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=8, temperature=0)
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert 1 <= answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0


def test_a_streamed_chat_equals_an_unstreamed_one(client: openai.OpenAI, model: str) -> None:
    request = {"model": model, "messages": MESSAGES, "max_tokens": 8, "temperature": 0}
    unstreamed = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == unstreamed.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == unstreamed.choices[0].finish_reason
    assert chunks[-1].choices == []
    assert chunks[-1].usage == unstreamed.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_completion_takes_text_or_tokens(client: openai.OpenAI, http: httpx.Client, model: str) -> None:
    tokens = http.post("/tokenize", json={"prompt": "Once upon a time"}).json()["tokens"]
    request = {"model": model, "max_tokens": 8, "temperature": 0}
    by_text = client.completions.create(prompt="Once upon a time", **request)
    by_tokens = client.completions.create(prompt=tokens, **request)
    assert by_text.choices[0].text == by_tokens.choices[0].text != ""
    assert by_text.usage.prompt_tokens == len(tokens)
    streamed = client.completions.create(prompt=tokens, stream=True, **request)
    assert "".join(chunk.choices[0].text for chunk in streamed) == by_text.choices[0].text


def test_choices_are_in_the_order_of_the_prompts(client: openai.OpenAI, model: str) -> None:
    answer = client.completions.create(
        model=model, prompt=["One, two,", "Red, green,"], n=2, max_tokens=4, temperature=0
    )
    texts = [choice.text for choice in sorted(answer.choices, key=lambda choice: choice.index)]
    assert len(texts) == 4
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert answer.usage.completion_tokens <= 16


def test_a_seed_repeats_an_answer(client: openai.OpenAI, model: str) -> None:
    request = {"model": model, "messages": MESSAGES, "max_tokens": 12, "temperature": 1.0}
    texts = [client.chat.completions.create(**request, seed=7).choices[0].message.content for _ in range(2)]
    assert texts[0] == texts[1]


def test_log_probabilities_cover_every_token(client: openai.OpenAI, model: str, description: dict) -> None:
    request = {
        "model": model,
        "messages": MESSAGES,
        "max_tokens": 4,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 2,
    }
    if description["capabilities"]["top_logprobs_max"] is None:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**request)
        return
    answer = client.chat.completions.create(**request)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    # Greedy sampling chooses the most likely token.
    assert all(token.top_logprobs[0].logprob == pytest.approx(token.logprob, abs=1e-3) for token in tokens)


def test_a_regular_expression_constrains_the_answer(client: openai.OpenAI, model: str, description: dict) -> None:
    request = {"model": model, "messages": MESSAGES, "max_tokens": 8, "extra_body": {"regex": "(red|green|blue)"}}
    if not description["capabilities"]["constraints"]:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**request)
        return
    assert client.chat.completions.create(**request).choices[0].message.content in ("red", "green", "blue")


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_a_bad_request(client: openai.OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": TOO_LONG}], stream=stream)
    assert "2048" in caught.value.message
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=model, prompt=TOO_LONG, stream=stream)


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("temperature", {"temperature": 3.0}),
        ("max_tokens", {"max_tokens": 0}),
        ("tool_choice", {"tool_choice": "required"}),
        ("max_tokenz", {"extra_body": {"max_tokenz": 1}}),
    ],
)
def test_a_bad_request_names_its_field(client: openai.OpenAI, model: str, param: str, fields: dict) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, **fields)
    assert caught.value.param == param
    assert param in caught.value.message


def test_an_unknown_field_is_ignored_and_named(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, max_tokens=1, extra_body={"no_such_field": 1}
    )
    assert "no_such_field" in answer.headers["x-hostler-ignored"]
