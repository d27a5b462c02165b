"""Traces as a collector receives them, and their ids in logs."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import metrics
from collector import Collector, Span
from conftest import binary, start_cluster
from raw import RawStream
from server import Server

# Must not appear in any span or log line.
PROMPT = "an unmistakable prompt"
CHAT = {"model": "traced", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 6}

# Wall-clock time is read when a span ends, and a busy machine may pause in between.
SKEW_NS = 2e9


@dataclass
class Traced:
    server: Server
    collector: Collector

    def ask(self, path: str = "/v1/chat/completions", body: dict = CHAT, **headers: str) -> httpx.Response:
        return httpx.post(self.server.url + path, json=body, headers=headers, timeout=60)

    def spans(self, trace_id: str, names: set[str]) -> dict[str, Span]:
        """The spans of a trace by name, once all of `names` have arrived."""

        def found() -> dict[str, Span]:
            return {span.name: span for span in self.collector.trace(trace_id)}

        metrics.wait_until(lambda: names <= set(found()), f"the spans {names} of {trace_id}")
        return found()

    def log(self) -> list[dict]:
        lines = self.server.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def traceparent(sampled: bool = True) -> tuple[str, str, str]:
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace_id}-{span_id}-{int(sampled):02}", trace_id, span_id


def start(folder: Path, ratio: float) -> Traced:
    collector = Collector().start()
    settings = (
        f'[log]\nformat = "json"\n[tracing]\notlp_endpoint = "{collector.endpoint}"\nsample_ratio = {ratio}\n'
    )
    return Traced(Server(binary(), "simulated", "traced", folder, settings).start(), collector)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    traced = start(tmp_path_factory.mktemp("traced"), 1.0)
    try:
        yield traced
    finally:
        traced.server.kill()
        traced.collector.stop()


def test_a_request_is_one_trace_with_a_span_for_each_phase(traced: Traced):
    header, trace_id, parent = traceparent()
    assert traced.ask(traceparent=header).status_code == 200
    spans = traced.spans(trace_id, {"chat traced", "route", "queue", "prefill", "decode"})
    root = spans["chat traced"]
    assert root.parent == parent and root.raw.kind == root.raw.SPAN_KIND_SERVER
    phases = [spans[name] for name in ("queue", "prefill", "decode")]
    for part in [spans["route"], *phases]:
        assert part.parent == root.span_id, part.name
        assert abs(part.begin - root.begin) < SKEW_NS, part.name
    for before, after in zip(phases, phases[1:]):
        assert abs(before.end - after.begin) < 1000, "each phase begins where the one before ends"
    # Durations are measured with a monotonic clock.
    assert sum(part.end - part.begin for part in phases) <= root.end - root.begin
    assert root.resource["service.name"] == "hostler" and root.resource["service.instance.id"]


def test_spans_have_the_attributes_of_the_conventions(traced: Traced):
    header, trace_id, _ = traceparent()
    answer = traced.ask(traceparent=header, **{"x-request-id": "job-7", "x-hostler-priority": "batch"})
    assert answer.headers["x-request-id"] == "job-7"
    spans = traced.spans(trace_id, {"chat traced", "decode"})
    usage = answer.json()["usage"]
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "hostler",
        "gen_ai.request.model": "traced",
        "gen_ai.request.max_tokens": 6,
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "hostler.request_id": "job-7",
        "hostler.priority": "batch",
        "hostler.tenant": "anonymous",
    }
    assert expected.items() <= spans["chat traced"].attributes.items()
    assert spans["decode"].attributes["gen_ai.response.finish_reasons"] == ["length"]
    assert spans["decode"].attributes["hostler.scheduler"] == answer.headers["x-hostler-scheduler"]


def test_a_refusal_and_a_disconnect_are_error_spans(traced: Traced):
    header, trace_id, _ = traceparent()
    refused = traced.ask(body=CHAT | {"model": "unknown"}, traceparent=header)
    assert refused.status_code == 404
    spans = traced.spans(trace_id, {"POST /v1/chat/completions"})
    span = spans["POST /v1/chat/completions"]
    assert span.attributes["error.type"] == "not_found" and span.raw.status.code == 2

    body = {"model": "traced", "prompt": PROMPT, "max_tokens": 2000, "stream": True, "priority": "interactive"}
    with RawStream(traced.server.url, "/generate", body) as stream:
        stream.read_events(3)

    def cancelled() -> list[Span]:
        return [span for span in traced.collector.spans if span.name == "decode" and span.raw.status.code == 2]

    metrics.wait_until(lambda: cancelled(), "the span of the cancelled answer")
    assert cancelled()[0].raw.status.message == "cancelled"


def test_the_clients_sampling_decision_is_followed(traced: Traced):
    header, quiet, _ = traceparent(sampled=False)
    assert traced.ask(traceparent=header).status_code == 200
    after, trace_id, _ = traceparent()
    assert traced.ask(traceparent=after).status_code == 200
    traced.spans(trace_id, {"chat traced"})
    assert traced.collector.trace(quiet) == []
    # The log has the trace id even without sampling.
    metrics.wait_until(lambda: any(line.get("trace_id") == quiet for line in traced.log()), "the log line")


def test_a_request_without_a_traceparent_starts_a_trace(traced: Traced):
    answer = traced.ask(**{"x-request-id": "own-trace"})
    assert answer.status_code == 200

    def line() -> dict:
        return next((line for line in traced.log() if line.get("request_id") == "own-trace"), {})

    metrics.wait_until(lambda: line(), "the log line")
    spans = traced.spans(line()["trace_id"], {"chat traced", "queue"})
    assert spans["chat traced"].parent == ""
    assert spans["chat traced"].attributes["gen_ai.response.id"] == line()["trace_id"]


def test_an_invalid_traceparent_is_reported_as_ignored(traced: Traced):
    answer = traced.ask(traceparent="00-nonsense")
    assert answer.status_code == 200
    assert "traceparent" in answer.headers["x-hostler-ignored"]


def test_no_prompt_appears_in_a_span_or_in_the_log(traced: Traced):
    header, trace_id, _ = traceparent()
    assert traced.ask(traceparent=header).status_code == 200
    traced.spans(trace_id, {"chat traced", "decode"})
    assert PROMPT not in traced.server.log.read_text()
    for span in traced.collector.spans:
        assert "unmistakable" not in str(span.raw), span.name


def test_a_ratio_of_zero_samples_nothing_and_shutdown_flushes_spans(tmp_path: Path):
    traced = start(tmp_path, 0.0)
    try:
        for _ in range(5):
            assert traced.ask().status_code == 200
        header, trace_id, _ = traceparent()
        assert traced.ask(traceparent=header).status_code == 200
        # Spans are sent in batches; a shutdown sends the last batch.
        assert traced.server.stop() == 0
        assert {span.trace_id for span in traced.collector.spans} == {trace_id}
        assert len(traced.collector.trace(trace_id)) == 5
    finally:
        traced.server.kill()
        traced.collector.stop()


def test_a_trace_spans_gateway_and_worker(tmp_path: Path):
    collector = Collector().start()
    tracing = f'[tracing]\notlp_endpoint = "{collector.endpoint}"\n'
    cluster = start_cluster(tmp_path, [tracing], tracing)
    try:
        header, trace_id, _ = traceparent()
        body = CHAT | {"model": "simulated"}
        traced = Traced(cluster.gateway, collector)
        assert traced.ask(body=body, traceparent=header).status_code == 200
        spans = traced.spans(trace_id, {"chat simulated", "route", "queue", "prefill", "decode"})
        root = spans["chat simulated"]
        for name in ("route", "queue", "prefill", "decode"):
            assert spans[name].parent == root.span_id, name
        where = {name: span.resource["service.instance.id"] for name, span in spans.items()}
        assert where["queue"] == where["decode"] == "worker-1"
        assert where["route"] == where["chat simulated"] != "worker-1"
    finally:
        cluster.stop()
        collector.stop()


def test_no_request_fails_without_a_collector(tmp_path: Path):
    traced = start(tmp_path, 1.0)
    traced.collector.stop()
    try:
        for _ in range(20):
            assert traced.ask().status_code == 200
    finally:
        traced.server.kill()
