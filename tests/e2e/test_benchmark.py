"""Benchmarks of a served model: by one call, by order, left, and with traffic that waits."""

import json
import threading

import httpx
import pytest

import metrics
from raw import RawStream
from server import Server

SMALL = {"requests": 6, "concurrency": 2, "max_tokens": 8, "prompt": "Once upon a time"}
ENDLESS = {"requests": 100_000, "concurrency": 2, "max_tokens": 100}
ALONE = {"claim": {"min_serving": 0}}

# Neither a busy machine nor a slow engine takes longer for the small benchmarks here.
PATIENCE = 300


def scheduler(http: httpx.Client) -> dict:
    return http.get("/admin/schedulers").json()["data"][0]


def state_is(http: httpx.Client, state: str) -> None:
    metrics.wait_until(lambda: scheduler(http)["state"] == state, state)


def order(http: httpx.Client, **wanted) -> str:
    response = http.post("/v1/benchmarks", json={**ALONE, **wanted})
    assert response.status_code == 202, response.text
    return response.json()["id"]


def ended(http: httpx.Client, benchmark: str) -> dict:
    """Follows the events to the end, and gives the record."""
    with http.stream("GET", f"/v1/benchmarks/{benchmark}/events", timeout=PATIENCE) as response:
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["status"] in ("done", "failed", "cancelled")
    return http.get(f"/v1/benchmarks/{benchmark}").json()


def test_one_call_measures_the_model_and_gives_it_back(http: httpx.Client) -> None:
    response = http.post("/benchmark", json=SMALL, timeout=PATIENCE)
    assert response.status_code == 200, response.text
    body = response.json()
    data = body["data"]
    assert body["success"] is True
    assert (data["total_requests"], data["successful_requests"], data["failed_requests"]) == (6, 6, 0)
    assert data["avg_generated_tokens"] == 8
    assert 0 < data["min_response_time"] <= data["avg_response_time"] <= data["max_response_time"] <= data["total_time"]
    assert data["avg_tokens_per_second"] == pytest.approx(48 / data["total_time"], rel=0.02)
    assert data["claim"]["scheduler"] == scheduler(http)["id"]
    state_is(http, "serving")
    assert scheduler(http)["claim"] is None


def test_an_order_is_followed_to_its_result(http: httpx.Client, description: dict) -> None:
    record = ended(http, order(http, requests=4, max_tokens=6))
    assert record["status"] == "done", record["error"]
    result = record["result"]
    assert result["series"][0]["target"]["facts"]["engine"] == description["engine"]
    assert result["series"][0]["runs"][0]["output_tokens"] == 24
    facts = result["server"]
    assert facts["scheduler"]["engine"] == description["engine"]
    assert description["engine"] == "simulated" or len(facts["model_sha256"]) == 64
    assert record["id"] in [one["id"] for one in http.get("/v1/benchmarks").json()["data"]]


def test_every_layer_answers_the_same_work(http: httpx.Client) -> None:
    record = ended(http, order(http, profile="ladder", repeats=1, requests=4, max_tokens=6))
    assert record["status"] == "done", record["error"]
    series = record["result"]["series"]
    assert [one["name"] for one in series] == ["engine", "scheduler", "router", "http", "http-stream"]
    assert [one["runs"][0]["output_tokens"] for one in series] == [24] * 5
    assert [one["runs"][0]["failed"] for one in series] == [0] * 5


def test_who_leaves_has_cancelled(server: Server, http: httpx.Client) -> None:
    with RawStream(server.url, "/benchmark", ENDLESS):
        state_is(http, "claimed")
        metrics.wait_until(lambda: scheduler(http)["running"] > 0, "a running request")
    state_is(http, "serving")
    assert http.get("/v1/benchmarks").json()["data"][0]["status"] == "cancelled"
    metrics.wait_idle(server.url)


def test_requests_wait_for_the_end_and_none_is_lost(http: httpx.Client) -> None:
    benchmark = order(http, requests=100_000, max_tokens=100)
    state_is(http, "claimed")
    answers = []

    def ask() -> None:
        body = {"prompt": "One, two,", "max_tokens": 2, "ignore_eos": True}
        answers.append(http.post("/generate", json=body, timeout=PATIENCE).status_code)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    assert http.delete(f"/v1/benchmarks/{benchmark}").status_code == 200
    assert ended(http, benchmark)["status"] == "cancelled"
    for client in clients:
        client.join()
    assert answers == [200] * 4
