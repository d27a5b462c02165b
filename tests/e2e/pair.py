"""A server with two schedulers of one model on the simulated engine."""

from dataclasses import dataclass
from pathlib import Path

import httpx

import metrics
from server import Server

SCHEDULERS = ("a", "b")
MODEL = "pair"


@dataclass
class Pair(Server):
    """`hostler serve` with two schedulers, in its process or each in its own process."""

    isolation: str = "thread"
    step_ms: float = 2

    @classmethod
    def of(cls, binary: Path, folder: Path, isolation: str, step_ms: float) -> "Pair":
        return cls(binary, "simulated", MODEL, folder, isolation=isolation, step_ms=step_ms)

    def configuration(self) -> str:
        return (
            f'[server]\naddress = "127.0.0.1:{self.port}"\n'
            f'[benchmarks]\nstore = "{self.folder / "benchmarks"}"\n'
            f'[scheduler]\nengine = "simulated"\nmodel = "{MODEL}"\ndevice = "cpu"\nisolation = "{self.isolation}"\n'
            f"[scheduler.simulated.cost]\ndecode_step_ms = {self.step_ms}\ndecode_ms_per_sequence = 0\n"
            + "".join(f"[schedulers.{name}]\n" for name in SCHEDULERS)
        )

    def schedulers(self) -> list[dict]:
        return httpx.get(f"{self.url}/admin/schedulers", timeout=30).json()["data"]

    def state_of(self, name: str) -> str:
        return next(scheduler["state"] for scheduler in self.schedulers() if scheduler["id"] == name)

    def all_serve(self) -> bool:
        return all(one["state"] == "serving" and one["claim"] is None for one in self.schedulers())

    def wait_until_all_serve(self) -> None:
        metrics.wait_until(self.all_serve, "both schedulers serve, unclaimed")
