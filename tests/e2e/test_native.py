"""The native endpoints and those for operators."""

import httpx

import metrics
from server import Server


def test_the_index_lists_the_endpoints(http: httpx.Client) -> None:
    index = http.get("/").json()
    assert index["success"] is True
    paths = {endpoint["path"] for endpoint in index["data"]["endpoints"]}
    assert {"/generate", "/v1/chat/completions", "/metrics"} <= paths


def test_generate_reports_its_timings(http: httpx.Client, engine: str) -> None:
    response = http.post("/generate", json={"prompt": "One, two,", "max_tokens": 4, "temperature": 0})
    data = response.json()["data"]
    assert data["text"]
    assert len(data["tokens"]) == data["usage"]["completion_tokens"] == 4
    timings = data["timings"]
    assert 0 < timings["prefill_ms"] <= timings["total_ms"]
    assert response.headers["x-hostler-scheduler"]
    assert response.headers["server-timing"].startswith("queue;dur=")
    assert ("x-hostler-engine" in response.headers) == (engine == "simulated")


def test_text_round_trips_through_its_tokens(http: httpx.Client) -> None:
    text = "Grüße, 世界! 🚂"
    encoded = http.post("/encode", json={"text": text}).json()["data"]
    assert encoded["length"] == len(encoded["tokens"]) > 0
    decoded = http.post("/detokenize", json={"tokens": encoded["tokens"]}).json()
    assert decoded["prompt"] == text


def test_a_conversation_round_trips_with_its_special_tokens(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "One, two?"}]
    tokens = http.post("/tokenize", json={"messages": messages}).json()["tokens"]
    kept = http.post("/detokenize", json={"tokens": tokens}).json()["prompt"]
    assert "<|im_start|>user\nOne, two?<|im_end|>" in kept
    assert http.post("/tokenize", json={"prompt": kept}).json()["tokens"] == tokens
    skipped = http.post("/detokenize", json={"tokens": tokens, "skip_special_tokens": True}).json()["prompt"]
    assert "<|im_" not in skipped and "One, two?" in skipped


def test_operators_see_an_idle_scheduler(server: Server, http: httpx.Client) -> None:
    # An answer ends shortly before its slot is free.
    metrics.wait_idle(server.url)
    assert http.get("/livez").status_code == 200
    assert http.get("/health").json()["data"]["status"] == "ok"
    [scheduler] = http.get("/admin/schedulers").json()["data"]
    assert scheduler["state"] == "serving"
    assert scheduler["running"] == 0


def test_a_request_is_cancelled_by_its_id(http: httpx.Client) -> None:
    body = {
        "messages": [{"role": "user", "content": "Count."}],
        "max_tokens": 1500,
        "ignore_eos": True,
        "stream": True,
    }
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        request_id = first.partition('"id":"')[2].partition('"')[0]
        assert http.delete(f"/v1/requests/{request_id}").json()["cancelled"] is True
        rest = list(lines)
    assert "event: error" in rest
    assert rest[-2:] == ["data: [DONE]", ""] or rest[-1] == "data: [DONE]"
    assert http.delete(f"/v1/requests/{request_id}").status_code == 404
