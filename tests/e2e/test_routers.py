"""Other routers in front of Hostler. `make test-long` installs them; they are 200 MB with what they need."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from conftest import make_server
from server import Server, free_port

PACKAGES = Path(__file__).parents[2] / ".cache" / "routers"
START_SECONDS = 60

pytestmark = pytest.mark.skipif(not PACKAGES.is_dir(), reason=f"SKIPPED: no routers in {PACKAGES}; see make test-long")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = make_server("simulated", tmp_path_factory.mktemp("backend")).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["vllm_router", "sglang_router"])
def router(request: pytest.FixtureRequest, backend: Server, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", f"{request.param}.launch_router", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", backend.url, "--prometheus-port", str(free_port())]
    log = tmp_path / "router.log"
    with log.open("wb") as output:
        environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "PYTHONNOUSERSITE": "1"}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not has_backend(url):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def has_backend(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/models", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_requests_of_other_routers_are_answered(router: str, backend: Server) -> None:
    model = httpx.get(f"{backend.url}/v1/models").json()["data"][0]["id"]
    client = openai.OpenAI(base_url=f"{router}/v1", api_key="none", max_retries=0, timeout=30)
    messages = [{"role": "user", "content": "hello"}]
    for _ in range(5):
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=4)
        assert answer.usage.completion_tokens == 4
        stream = client.chat.completions.create(model=model, messages=messages, max_tokens=4, stream=True)
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert client.completions.create(model=model, prompt="hello", max_tokens=4).choices[0].text
