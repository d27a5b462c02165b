"""A cluster under load, and a Prometheus that looks at it.

HOSTLER_BIN  the binary (needed)
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from load import Traffic
from prometheus import Prometheus
from server import Server

# Two schedulers that work and refuse when they are full, and two whose engines break.
SETTINGS = """
[scheduler.queue]
requests_max = 3

[scheduler.recovery]
restarts_max = 1000
restart_backoff_ms = 200

[scheduler.simulated]
prefix_cache_tokens = 2048

[schedulers.steady-1]
model = "steady"
max_batch_size = 4

[schedulers.steady-2]
model = "steady"
max_batch_size = 4

[schedulers.flaky-1]
model = "flaky"

[schedulers.flaky-1.simulated.faults.engine]
kind = "panic"
after_tokens = 200

[schedulers.flaky-2]
model = "flaky"

[schedulers.flaky-2.simulated.faults.engine]
kind = "fail"
after_tokens = 300
"""


def binary() -> Path:
    path = os.environ.get("HOSTLER_BIN")
    if not path:
        pytest.fail("HOSTLER_BIN is not set: it names the binary to test", pytrace=False)
    return Path(path)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary(), "simulated", "steady", tmp_path_factory.mktemp("served"), SETTINGS).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def traffic(served: Server) -> Iterator[Traffic]:
    traffic = Traffic(served.url).start()
    try:
        yield traffic
    finally:
        traffic.stop()


@pytest.fixture(scope="session")
def prometheus(served: Server, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    target = served.url.removeprefix("http://")
    prometheus = Prometheus([target], tmp_path_factory.mktemp("prometheus")).start()
    try:
        yield prometheus
    finally:
        prometheus.stop()
