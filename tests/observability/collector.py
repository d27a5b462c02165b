"""A trace collector: receives OTLP over gRPC and keeps every span. As a program it prints its
endpoint, and on SIGINT or SIGTERM the number of spans that it received."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass
class Span:
    """A span with its attributes and those of its resource."""

    raw: trace_pb2.Span
    attributes: dict[str, object]
    resource: dict[str, object]

    @property
    def name(self) -> str:
        return self.raw.name

    @property
    def trace_id(self) -> str:
        return self.raw.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.raw.span_id.hex()

    @property
    def parent(self) -> str:
        return self.raw.parent_span_id.hex()

    @property
    def begin(self) -> int:
        return self.raw.start_time_unix_nano

    @property
    def end(self) -> int:
        return self.raw.end_time_unix_nano


def plain(attributes) -> dict[str, object]:
    def value(any_value):
        kind = any_value.WhichOneof("value")
        found = getattr(any_value, kind)
        return [value(item) for item in found.values] if kind == "array_value" else found

    return {attribute.key: value(attribute.value) for attribute in attributes}


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    spans: list[Span] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> "Collector":
        self.server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        return self

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def Export(self, request, context):  # noqa: N802 (the protocol defines the name)
        with self.lock:
            for resource in request.resource_spans:
                attributes = plain(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self.spans += [Span(span, plain(span.attributes), attributes) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[Span]:
        with self.lock:
            return [span for span in self.spans if span.trace_id == trace_id]

    def stop(self) -> None:
        self.server.stop(0)


if __name__ == "__main__":
    # Blocked before any thread starts, so that no thread handles the signals.
    SIGNALS = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    collector = Collector().start()
    print(collector.endpoint, flush=True)
    signal.sigwait(SIGNALS)
    collector.stop()
    print(len(collector.spans), flush=True)
