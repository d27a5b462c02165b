"""Embeddings through OpenAI's client, which requests base64 by default."""

import math
import threading

import httpx
import openai
import pytest

TEXTS = ["The horse pulled the wagon out of the shed.", "A locomotive is a steam engine on rails.", "Bread is baked."]


@pytest.fixture(scope="module")
def dimensions(description: dict) -> int:
    dimensions = description["capabilities"]["embedding_dimensions"]
    if dimensions is None:
        pytest.skip("this engine does not support embeddings")
    return dimensions


def cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_an_engine_without_embeddings_refuses_them(client: openai.OpenAI, model: str, description: dict) -> None:
    if description["capabilities"]["embedding_dimensions"] is not None:
        pytest.skip("this engine supports embeddings")
    with pytest.raises(openai.BadRequestError, match="does not support embeddings"):
        client.embeddings.create(model=model, input="a")


def test_each_text_gets_one_vector(client: openai.OpenAI, model: str, dimensions: int) -> None:
    answer = client.embeddings.create(model=model, input=TEXTS)
    floats = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)
    for coded, plain in zip(answer.data, floats.data, strict=True):
        assert len(coded.embedding) == dimensions
        assert math.isclose(math.sqrt(cosine(coded.embedding, coded.embedding)), 1, abs_tol=1e-4)
        assert cosine(coded.embedding, plain.embedding) > 0.9999
    first, second, third = (item.embedding for item in answer.data)
    assert max(cosine(first, second), cosine(first, third), cosine(second, third)) < 0.999


def test_tokens_are_accepted_as_input(client: openai.OpenAI, http: httpx.Client, model: str, dimensions: int) -> None:
    tokens = http.post("/encode", json={"text": TEXTS[0]}).json()["data"]["tokens"]
    by_text, by_tokens = (client.embeddings.create(model=model, input=value) for value in (TEXTS[0], [tokens]))
    assert by_tokens.usage.prompt_tokens == len(tokens)
    assert cosine(by_text.data[0].embedding, by_tokens.data[0].embedding) > 0.9999


def test_a_vector_is_shortened_to_the_requested_dimensions(client: openai.OpenAI, model: str, dimensions: int) -> None:
    full, short = (
        client.embeddings.create(model=model, input="a", dimensions=size).data[0].embedding for size in (dimensions, 64)
    )
    assert (len(full), len(short)) == (dimensions, 64)
    assert cosine(full[:64], short) / math.hypot(*full[:64]) > 0.9999
    assert math.isclose(math.hypot(*short), 1, abs_tol=1e-4)


def test_invalid_inputs_are_refused(client: openai.OpenAI, model: str, dimensions: int) -> None:
    with pytest.raises(openai.BadRequestError, match=f"this model's vectors have {dimensions} numbers"):
        client.embeddings.create(model=model, input="a", dimensions=dimensions + 1)
    with pytest.raises(openai.BadRequestError, match="input 1 "):
        client.embeddings.create(model=model, input=["fine", "too long " * 3000])


def test_embeddings_do_not_change_a_running_answer(client: openai.OpenAI, model: str, dimensions: int) -> None:
    def answer() -> str:
        return client.completions.create(model=model, prompt="One, two,", max_tokens=40, temperature=0).choices[0].text

    alone, together = answer(), []
    generating = threading.Thread(target=lambda: together.append(answer()))
    generating.start()
    vectors = client.embeddings.create(model=model, input=["word " * 300] * 3).data
    generating.join()
    assert together == [alone]
    assert cosine(vectors[0].embedding, vectors[2].embedding) > 0.9999
