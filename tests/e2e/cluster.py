"""A cluster of gateway and worker processes with the simulated engine, and an etcd."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from relay import Relay

WORKER = """
[worker]
listen = "127.0.0.1:{port}"
name = "w{number}"
{settings}
{scheduler}
"""

# A decode step is slow, so that answers are unfinished when a worker fails.
SIMULATED = """
[scheduler]
engine = "simulated"
model = "m"
max_batch_size = 64
[scheduler.recovery]
restarts_max = 1000
[scheduler.simulated]
max_sequences = 64
kv_capacity_tokens = 400000
[scheduler.simulated.cost]
decode_step_ms = 20
"""

GATEWAY = """
[server]
address = "127.0.0.1:{port}"
unready_seconds = 1
[benchmarks]
store = "{folder}/benchmarks-{port}"
{settings}
"""

# How long a record stays in etcd after its process died.
LEASE_SECONDS = 3

ETCD = """
[cluster.etcd]
endpoints = ["{url}"]
lease_seconds = {lease}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> float:
    """Waits for a condition and returns the seconds that it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"after {seconds} s: not {what}")
        time.sleep(0.05)
    return time.monotonic() - started


class Etcd:
    """An etcd process that can be killed and started again with the same data."""

    def __init__(self, folder: Path):
        self.folder, self.port, self.peer = folder, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        binary = shutil.which("etcd", path="/usr/bin:/usr/local/bin:/usr/sbin")
        assert binary, "etcd is not installed; scripts/setup.sh test installs it"
        peer = f"http://127.0.0.1:{self.peer}"
        options = {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        log = (self.folder / "etcd.log").open("a")
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen([binary, *arguments], stdout=log, stderr=subprocess.STDOUT)
        until("etcd is healthy", self.is_healthy)

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).json()["health"] == "true"
        except (httpx.HTTPError, ValueError):
            return False

    def keys(self, prefix: str) -> list[str]:
        """The last parts of the keys below `/hostler/PREFIX/`."""
        begin, end = (base64.b64encode(f"/hostler/{prefix}{last}".encode()).decode() for last in "/0")
        answer = httpx.post(f"{self.url}/v3/kv/range", json={"key": begin, "range_end": end, "keys_only": True})
        listed = [base64.b64decode(record["key"]).decode() for record in answer.json().get("kvs", [])]
        return [key.rpartition("/")[2] for key in listed]

    def record(self, key: str) -> dict | None:
        """The value of `/hostler/KEY`, which is JSON."""
        kvs = httpx.post(f"{self.url}/v3/kv/range", json={"key": encoded(key)}).json().get("kvs", [])
        return json.loads(base64.b64decode(kvs[0]["value"])) if kvs else None

    def put(self, key: str, value: str) -> None:
        body = {"key": encoded(key), "value": base64.b64encode(value.encode()).decode()}
        httpx.post(f"{self.url}/v3/kv/put", json=body).raise_for_status()

    def delete(self, key: str) -> None:
        httpx.post(f"{self.url}/v3/kv/deleterange", json={"key": encoded(key)}).raise_for_status()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def encoded(key: str) -> str:
    return base64.b64encode(f"/hostler/{key}".encode()).decode()


class Cluster:
    """Gateways and workers. The gateways find the workers through etcd if there is one, and
    otherwise by their configuration. With `links`, a relay carries the connections to each
    worker, and can break them. `headers` are those of requests to a gateway with keys."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        workers: int,
        gateways: int = 1,
        etcd: Etcd | None = None,
        links: bool = False,
        scheduler: str = SIMULATED,
        gateway_settings: str = "",
        headers: dict[str, str] | None = None,
    ):
        self.binary, self.folder, self.etcd, self.scheduler = binary, folder, etcd, scheduler
        self.gateway_settings, self.headers = gateway_settings, headers
        self.ports = [free_port() for _ in range(workers)]
        self.links = [Relay(port) for port in self.ports] if links else []
        self.workers = [self.worker(number) for number in range(workers)]
        self.urls = [f"http://127.0.0.1:{free_port()}" for _ in range(gateways)]
        self.gateways = [self.start_gateway(number) for number in range(gateways)]

    def worker(self, number: int) -> subprocess.Popen:
        """Starts or restarts worker `number`."""
        if number == len(self.ports):
            self.ports.append(free_port())
        settings = ETCD.format(url=self.etcd.url, lease=LEASE_SECONDS) if self.etcd else ""
        if self.links:
            settings = f'advertise = "http://127.0.0.1:{self.links[number].port}"\n{settings}'
        port = self.ports[number]
        text = WORKER.format(port=port, number=number, settings=settings, scheduler=self.scheduler)
        return self.run("worker", f"w{number}", text)

    def start_gateway(self, number: int) -> subprocess.Popen:
        """Starts or restarts gateway `number`."""
        if self.etcd:
            settings = ETCD.format(url=self.etcd.url, lease=LEASE_SECONDS)
        else:
            ports = [link.port for link in self.links] or self.ports
            workers = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
            settings = f"[cluster]\nworkers = [{workers}]"
        settings += f"\n{self.gateway_settings}"
        port = self.urls[number].rpartition(":")[2]
        return self.run("gateway", f"g{number}", GATEWAY.format(port=port, folder=self.folder, settings=settings))

    def run(self, role: str, name: str, settings: str) -> subprocess.Popen:
        config = self.folder / f"{name}.toml"
        config.write_text(settings)
        log = (self.folder / f"{name}.log").open("a")
        return subprocess.Popen([self.binary, role, "--config", config], stdout=log, stderr=subprocess.STDOUT)

    @property
    def url(self) -> str:
        """The URL of the first gateway."""
        return self.urls[0]

    @property
    def gateway(self) -> subprocess.Popen:
        return self.gateways[0]

    def schedulers(self, gateway: int = 0) -> list[dict]:
        return httpx.get(f"{self.urls[gateway]}/admin/schedulers", headers=self.headers).json()["data"]

    def serving(self, gateway: int = 0) -> set[str]:
        """The schedulers that a gateway sees as serving; none while the gateway does not answer."""
        try:
            return {one["id"] for one in self.schedulers(gateway) if one["state"] == "serving"}
        except httpx.HTTPError:
            return set()

    def known(self, gateway: int = 0) -> set[str]:
        """All schedulers that a gateway knows; none while the gateway does not answer."""
        try:
            return {one["id"] for one in self.schedulers(gateway)}
        except httpx.HTTPError:
            return set()

    def wait_until_serving(self, count: int | None = None, seconds: float = 60) -> None:
        """Waits until every gateway sees `count` serving schedulers; by default, one for each worker."""
        count = len(self.workers) if count is None else count
        for gateway in range(len(self.gateways)):
            until(f"{count} schedulers serve", lambda: len(self.serving(gateway)) == count, seconds)

    def wait_until_serving_or_claimed(self, seconds: float = 60) -> None:
        """Waits until every gateway sees all schedulers serving, draining or claimed."""

        def all_work(gateway: int) -> bool:
            states = [one["state"] for one in self.schedulers(gateway)]
            return len(states) == len(self.workers) and all(s in ("serving", "draining", "claimed") for s in states)

        for gateway in range(len(self.gateways)):
            until("all schedulers work", lambda: all_work(gateway), seconds)

    def metric(self, name: str, gateway: int = 0) -> dict[str, float]:
        lines = httpx.get(f"{self.urls[gateway]}/metrics").text.splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((name + "{", name + " "))
        }

    def kill(self) -> None:
        for process in [*self.gateways, *self.workers]:
            process.kill()
            process.wait()
        for link in self.links:
            link.close()
