"""Fixtures of the end-to-end tests: a server with a model, and clients.

HOSTLER_BIN          the binary (required)
HOSTLER_TEST_MODEL   path of a GGUF file (required by real engines)
HOSTLER_E2E_ENGINES  the engines to test; "mistralrs,llamacpp" if unset
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from server import Server

ENGINES = [name for name in os.environ.get("HOSTLER_E2E_ENGINES", "mistralrs,llamacpp").split(",") if name]


def make_server(engine: str, folder: Path, settings: str = "") -> Server:
    binary = os.environ.get("HOSTLER_BIN")
    if not binary:
        pytest.fail("HOSTLER_BIN is not set: it names the binary to test", pytrace=False)
    model = os.environ.get("HOSTLER_TEST_MODEL", "")
    if engine != "simulated" and not model:
        pytest.fail("HOSTLER_TEST_MODEL is not set: it names the GGUF file to serve", pytrace=False)
    return Server(Path(binary), engine, "simulated" if engine == "simulated" else model, folder, settings)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def server(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of an engine; it must exit with code 0."""
    server = make_server(engine, tmp_path_factory.mktemp(engine)).start()
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.log_end()


@pytest.fixture
def own_server(engine: str, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may stop or kill it."""
    server = make_server(engine, tmp_path).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def model(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


@pytest.fixture(scope="session")
def description(http: httpx.Client) -> dict:
    """The description of the model and the engine."""
    return http.get("/model/info").json()["data"]["description"]
