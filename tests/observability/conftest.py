"""Fixtures: a cluster under load, and a Prometheus that scrapes it.

HOSTLER_BIN  the binary (required)
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from load import Traffic
from prometheus import Prometheus
from server import Server

COMMON = """
[scheduler.queue]
requests_max = 3

[scheduler.recovery]
restarts_max = 1000
restart_backoff_ms = 200

[scheduler.simulated]
prefix_cache_tokens = 2048

[schedulers.steady]
model = "steady"
max_batch_size = 4
# The driver of `gpu_driver` has one GPU. The simulated engine ignores its device.
device = "cuda:0"

[schedulers.flaky]
model = "flaky"
"""
# So small a retry budget that bursts exhaust it and some retries are denied.
SMALL_RETRY_BUDGET = """
[router]
retry_share_percent = 5
retries_per_second = 0
"""
# Each worker has a scheduler that works, and refuses requests when its queue is full, and one
# whose engine fails, on each worker in a different way.
FAULTS = ('kind = "panic"\nafter_tokens = 200', 'kind = "fail"\nafter_tokens = 300')


def binary() -> Path:
    path = os.environ.get("HOSTLER_BIN")
    if not path:
        pytest.fail("HOSTLER_BIN is not set: it names the binary to test", pytrace=False)
    return Path(path)


@dataclass
class Cluster:
    """A gateway and its workers."""

    gateway: Server
    workers: list[Server]

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def nodes(self) -> list[Server]:
        return [self.gateway, *self.workers]

    def stop(self) -> None:
        for node in self.nodes:
            if node.process:
                node.kill()


def gpu_driver(folder: Path) -> dict[str, str]:
    """Compiles a GPU driver of the tests' own; returns the environment in which it is found."""
    source = Path(__file__).parents[2] / "crates" / "gpu" / "tests" / "driver.c"
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-DMEASURES_ENERGY", "-o", library, source], check=True)
    return {"LD_LIBRARY_PATH": str(folder)}


def start_cluster(folder: Path, worker_settings: list[str], gateway_settings: str = "") -> Cluster:
    """Starts a gateway and workers named `worker-1` and so on, like their folders."""

    def subfolder(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    driver = gpu_driver(folder)
    workers = [
        Server(binary(), "simulated", "simulated", subfolder(f"worker-{index}"), settings, role="worker", environment=driver)
        for index, settings in enumerate(worker_settings, 1)
    ]
    urls = [f"http://127.0.0.1:{worker.grpc_port}" for worker in workers]
    settings = f"[cluster]\nworkers = {urls}\n\n{gateway_settings}"
    cluster = Cluster(Server(binary(), "simulated", "simulated", subfolder("gateway"), settings, role="gateway"), workers)
    try:
        for node in [*workers, cluster.gateway]:
            node.start()
    except BaseException:
        cluster.stop()
        raise
    return cluster


def start_faulty_cluster(folder: Path) -> Cluster:
    """The cluster that the dashboards are tested with."""
    settings = [f"{COMMON}\n[schedulers.flaky.simulated.faults.engine]\n{fault}\n" for fault in FAULTS]
    return start_cluster(folder, settings, SMALL_RETRY_BUDGET)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = start_faulty_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def traffic(cluster: Cluster) -> Iterator[Traffic]:
    traffic = Traffic(cluster.url).start()
    try:
        yield traffic
    finally:
        traffic.stop()


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = [node.url.removeprefix("http://") for node in cluster.nodes]
    prometheus = Prometheus(targets, tmp_path_factory.mktemp("prometheus")).start()
    try:
        yield prometheus
    finally:
        prometheus.stop()
