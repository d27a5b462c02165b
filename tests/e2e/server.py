"""Starts, observes and stops a Hostler process."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

# Loading a model takes a second, and much longer while the machine also compiles.
START_SECONDS = 180
STOP_SECONDS = 60


@dataclass
class Server:
    """`hostler serve`, or another role, with its own configuration file."""

    binary: Path
    engine: str
    model: str
    folder: Path
    settings: str = ""
    role: str = "serve"
    port: int = field(default_factory=lambda: free_port())
    grpc_port: int = field(default_factory=lambda: free_port())
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> "Server":
        config = self.folder / "hostler.toml"
        config.write_text(self.configuration())
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.binary, self.role, "--config", config],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server exited with {self.process.returncode}:\n{self.log_end()}")
            if self.is_ready():
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server was not ready in {START_SECONDS} s:\n{self.log_end()}")

    def configuration(self) -> str:
        """`settings` follow after the `[scheduler]` section."""
        address = "[worker]\nhttp_address" if self.role == "worker" else "[server]\naddress"
        return (
            f'{address} = "127.0.0.1:{self.port}"\n'
            + (f'listen = "127.0.0.1:{self.grpc_port}"\nname = "{self.folder.name}"\n' if self.role == "worker" else "")
            + f'\n[scheduler]\nengine = "{self.engine}"\ndevice = "cpu"\n'
            f'model = "{self.model}"\nmax_context_length = 2048\n\n{self.settings}'
        )

    def is_ready(self) -> bool:
        """Whether every model is ready. A worker has only `/readyz`, which asks for one."""
        if self.role == "worker":
            return self.status("/readyz") == 200
        try:
            return httpx.get(self.url + "/health", timeout=10).json()["data"]["status"] == "ok"
        except httpx.TransportError:
            return False

    def status(self, path: str) -> int | None:
        """The HTTP status of a path; `None` while the server does not listen."""
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return None

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def stop(self) -> int:
        """Sends Ctrl-C and returns the exit code; a server that does not exit is killed."""
        if self.process.poll() is None:
            self.interrupt()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the server did not stop in {STOP_SECONDS} s:\n{self.log_end()}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def resident_bytes(self) -> int:
        """Resident memory of the server and its worker processes."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in self.process_tree())

    def process_tree(self) -> list[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    # The process name, in parentheses, is followed by the state and the parent.
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat[1])
        members = [self.process.pid]
        for member in members:
            members += [pid for pid, parent in parents.items() if parent == member]
        return members


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
