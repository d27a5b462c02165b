"""A gateway and its workers, each a process, by the simulated engine."""

import socket
import subprocess
import time
from pathlib import Path

import httpx

# Slow enough that answers are under way when something happens to a worker.
WORKER = """
[worker]
listen = "127.0.0.1:{port}"
name = "w{number}"
[scheduler]
engine = "simulated"
model = "m"
max_batch_size = 64
[scheduler.simulated]
max_sequences = 64
kv_capacity_tokens = 400000
[scheduler.simulated.cost]
decode_step_ms = 20
"""

GATEWAY = """
[server]
address = "127.0.0.1:{port}"
[cluster]
workers = [{workers}]
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    def __init__(self, binary: Path, folder: Path, workers: int):
        self.binary, self.folder = binary, folder
        ports = [free_port() for _ in range(workers)]
        self.workers = [
            self.run("worker", f"w{number}", WORKER.format(port=port, number=number))
            for number, port in enumerate(ports)
        ]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
        self.gateway = self.run("gateway", "gateway", GATEWAY.format(port=port, workers=urls))

    def run(self, role: str, name: str, settings: str) -> subprocess.Popen:
        config = self.folder / f"{name}.toml"
        config.write_text(settings)
        log = (self.folder / f"{name}.log").open("w")
        return subprocess.Popen([self.binary, role, "--config", config], stdout=log, stderr=subprocess.STDOUT)

    def schedulers(self) -> list[dict]:
        return httpx.get(f"{self.url}/admin/schedulers").json()["data"]

    def wait_until_serving(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if sum(scheduler["state"] == "serving" for scheduler in self.schedulers()) == len(self.workers):
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise TimeoutError((self.folder / "gateway.log").read_text()[-2000:])

    def metric(self, name: str) -> dict[str, float]:
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")
        }

    def kill(self) -> None:
        for process in [self.gateway, *self.workers]:
            process.kill()
            process.wait()
