"""Runs a Prometheus with the repository's rules on a free port."""

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from repository import ROOT
from server import free_port

START_SECONDS = 60
# Short, so that tests do not wait long for data.
INTERVAL = "1s"


@dataclass
class Prometheus:
    """Scrapes `targets` as the repository's configuration does, but more often."""

    targets: list[str]
    folder: Path
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Prometheus":
        source = ROOT / "dashboards" / "prometheus"
        config = yaml.safe_load((source / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        config["rule_files"] = [str(source / pattern) for pattern in config["rule_files"]]
        job = next(job for job in config["scrape_configs"] if job["job_name"] == "hostler")
        config["scrape_configs"] = [{"job_name": job["job_name"], "static_configs": [{"targets": self.targets}]}]
        path = self.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        log = (self.folder / "prometheus.log").open("wb")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.stop()
        raise RuntimeError((self.folder / "prometheus.log").read_text()[-2000:])

    def get(self, path: str, **parameters) -> object:
        """The data of a response; an invalid query fails here."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60).json()
        assert answer["status"] == "success", answer.get("error")
        return answer["data"]

    def range(self, expression: str, seconds: float, step: float = 1.0) -> list[dict]:
        """The values of an expression during the last `seconds`, as a panel draws them."""
        now = time.time()
        return self.get("query_range", query=expression, start=now - seconds, end=now, step=step)["result"]

    def value(self, expression: str) -> float:
        """The sum of an expression's current values."""
        return sum(float(sample["value"][1]) for sample in self.get("query", query=expression)["result"])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
