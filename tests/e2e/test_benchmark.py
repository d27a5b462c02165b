"""Benchmarks of a served model: synchronous, asynchronous, abandoned, and with waiting requests."""

import json
import threading

import httpx
import pytest

import metrics
from raw import RawStream
from server import Server

SMALL = {"requests": 6, "concurrency": 2, "max_tokens": 8, "prompt": "Once upon a time"}
ENDLESS = {"requests": 100_000, "concurrency": 2, "max_tokens": 100}
ONLY_SCHEDULER = {"claim": {"min_serving": 0}}

# Longer than the small benchmarks take with a slow engine on a busy machine.
TIMEOUT_SECONDS = 300


def scheduler(http: httpx.Client) -> dict:
    return http.get("/admin/schedulers").json()["data"][0]


def state_is(http: httpx.Client, state: str) -> None:
    metrics.wait_until(lambda: scheduler(http)["state"] == state, state)


def create(http: httpx.Client, **body) -> str:
    response = http.post("/v1/benchmarks", json={**ONLY_SCHEDULER, **body})
    assert response.status_code == 202, response.text
    return response.json()["id"]


def finished(http: httpx.Client, benchmark: str) -> dict:
    """Reads the events to their end and returns the benchmark."""
    with http.stream("GET", f"/v1/benchmarks/{benchmark}/events", timeout=TIMEOUT_SECONDS) as response:
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["status"] in ("done", "failed", "cancelled")
    return http.get(f"/v1/benchmarks/{benchmark}").json()


def test_one_call_runs_a_benchmark_and_releases_the_scheduler(http: httpx.Client) -> None:
    response = http.post("/benchmark", json=SMALL, timeout=TIMEOUT_SECONDS)
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


def test_events_lead_to_the_result(http: httpx.Client, description: dict) -> None:
    record = finished(http, create(http, requests=4, max_tokens=6))
    assert record["status"] == "done", record["error"]
    result = record["result"]
    assert result["series"][0]["target"]["facts"]["engine"] == description["engine"]
    assert result["series"][0]["runs"][0]["output_tokens"] == 24
    facts = result["server"]
    assert facts["scheduler"]["engine"] == description["engine"]
    assert description["engine"] == "simulated" or len(facts["model_sha256"]) == 64
    assert record["id"] in [one["id"] for one in http.get("/v1/benchmarks").json()["data"]]


def test_every_layer_runs_the_same_workload(http: httpx.Client) -> None:
    record = finished(http, create(http, profile="ladder", repeats=1, requests=4, max_tokens=6))
    assert record["status"] == "done", record["error"]
    series = record["result"]["series"]
    assert [one["name"] for one in series] == ["engine", "scheduler", "router", "http", "http-stream"]
    assert [one["runs"][0]["output_tokens"] for one in series] == [24] * 5
    assert [one["runs"][0]["failed"] for one in series] == [0] * 5


def test_a_disconnect_cancels_the_benchmark(server: Server, http: httpx.Client) -> None:
    with RawStream(server.url, "/benchmark", ENDLESS):
        state_is(http, "claimed")
        metrics.wait_until(lambda: scheduler(http)["running"] > 0, "a running request")
    state_is(http, "serving")
    assert http.get("/v1/benchmarks").json()["data"][0]["status"] == "cancelled"
    metrics.wait_idle(server.url)


def test_requests_wait_for_the_end_of_a_benchmark(http: httpx.Client) -> None:
    benchmark = create(http, requests=100_000, max_tokens=100)
    state_is(http, "claimed")
    answers = []

    def send() -> None:
        body = {"prompt": "One, two,", "max_tokens": 2, "ignore_eos": True}
        answers.append(http.post("/generate", json=body, timeout=TIMEOUT_SECONDS).status_code)

    clients = [threading.Thread(target=send) for _ in range(4)]
    for client in clients:
        client.start()
    assert http.delete(f"/v1/benchmarks/{benchmark}").status_code == 200
    assert finished(http, benchmark)["status"] == "cancelled"
    for client in clients:
        client.join()
    assert answers == [200] * 4
