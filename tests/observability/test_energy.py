"""Tokens per joule in benchmark results, with a GPU driver of the tests' own, which draws 350.5 W."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import binary, gpu_driver
from server import Server

WATTS = 350.5
LOAD = {"requests": 12, "max_tokens": 8, "concurrency": 2}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scheduler on the GPU of the driver. The simulated engine ignores its device."""
    folder = tmp_path_factory.mktemp("energy")
    settings = '[schedulers.only]\ndevice = "cuda:0"\n'
    server = Server(binary(), "simulated", "simulated", folder, settings, environment=gpu_driver(folder)).start()
    try:
        yield server
    finally:
        server.kill()


def is_energy_of_the_run(run: dict) -> None:
    assert run["output_tokens_per_joule"] == pytest.approx(run["output_tokens"] / run["energy_joules"])
    # The run's own duration is that of its answers; the meter is read around it.
    assert run["energy_joules"] >= 0.9 * WATTS * run["output_tokens"] / run["output_tokens_per_second"]


def test_a_claimed_scheduler_is_measured(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        created = http.post("/v1/benchmarks", json=LOAD | {"claim": {"min_serving": 0}, "profile": "ladder", "repeats": 1})
        assert created.status_code == 202, created.text
        identity = created.json()["id"]
        with http.stream("GET", f"/v1/benchmarks/{identity}/events") as events:
            events.read()
        record = http.get(f"/v1/benchmarks/{identity}").json()
    assert record["status"] == "done", record["error"]
    for series in record["result"]["series"]:
        is_energy_of_the_run(series["runs"][0])


def test_a_server_is_measured_by_the_number_of_its_gpu(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    run = ["bench", "run", "--url", server.url, "-n", "12", "-c", "2", "--max-tokens", "8", "--repeats", "1"]
    subprocess.run([binary(), *run, "--gpu", "0", "--output", out], env=gpu_driver(tmp_path), check=True, timeout=60)
    is_energy_of_the_run(json.loads(out.read_text())["series"][0]["runs"][0])
    assert "tokens/J" in subprocess.run([binary(), "bench", "report", out], capture_output=True, text=True, check=True).stdout

    wrong = subprocess.run([binary(), *run, "--gpu", "1"], env=gpu_driver(tmp_path), capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 1
    assert "GPU 1 does not report its energy; this machine has 1, numbered from 0" in wrong.stderr
