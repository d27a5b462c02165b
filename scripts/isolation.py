"""Measures whether two schedulers on one machine disturb each other. One is claimed and
measured (`POST /benchmark`) while the other is idle, and while it serves a saturating load.
The other is measured while the first is claimed and idle, and while the first is measured.

    python3 scripts/isolation.py BINARY [--engine mistralrs] [--model M] [--rounds 5]

Each scheduler has its own process, pinned to one core. Rounds alternate, ratios are taken
within a round, and the result is their median. With --one-process, the same load (two clients)
also goes to one process with all cores, for comparison with the two pinned ones.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

TOKENS = 50
CONFIG = """
[server]
address = "127.0.0.1:{port}"
[benchmarks]
store = "{folder}/benchmarks-{port}"
[scheduler]
model = "{model}"
engine = "{engine}"
max_batch_size = {batch}
"""
PAIR = '[schedulers.first]\ndevice = "cpu:0"\n[schedulers.second]\ndevice = "cpu:1"\n'


class Server:
    """A running server with its own configuration."""

    def __init__(self, binary: str, folder: Path, schedulers: str, **settings: object):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = folder / f"{port}.toml"
        config.write_text(CONFIG.format(port=port, folder=folder, **settings) + schedulers)
        self.process = subprocess.Popen(
            [binary, "serve", "--config", config, "--log-filter", "error"], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                self.get("/readyz")
                return
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the server did not start") from error
                time.sleep(0.1)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=600) as answer:
            return answer.read()

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read() or b"{}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Load:
    """Clients that send requests without pause until `end`; measures their tokens/s."""

    def __init__(self, server: Server, clients: int):
        self.server, self.done, self.tokens = server, threading.Event(), 0
        self.lock = threading.Lock()
        self.started = self.last = time.monotonic()
        self.threads = [threading.Thread(target=self.send) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def send(self) -> None:
        body = {"prompt": "Tell a short story about a horse.", "max_tokens": TOKENS, "ignore_eos": True}
        while not self.done.is_set():
            answer = self.server.call("POST", "/v1/completions", body)
            with self.lock:
                self.tokens += answer["usage"]["completion_tokens"]
                self.last = time.monotonic()

    def rate(self) -> float:
        """tokens/s up to the latest answer."""
        with self.lock:
            if not self.tokens:
                raise SystemExit("no request was answered: raise --requests")
            return self.tokens / (self.last - self.started)

    def end(self) -> float:
        self.done.set()
        for thread in self.threads:
            thread.join()
        return self.rate()


def measured(server: Server, requests: int, clients: int) -> float:
    """tokens/s of the first scheduler, claimed by a benchmark."""
    order = {"scheduler": "first", "requests": requests, "concurrency": clients, "max_tokens": TOKENS}
    return server.call("POST", "/benchmark", order)["data"]["avg_tokens_per_second"]


def served(server: Server, seconds: float, clients: int) -> float:
    """tokens/s of the second scheduler, while the first is claimed and idle."""
    claim = server.call("POST", "/admin/claims", {"scheduler": "first", "ttl_seconds": 300})
    load = Load(server, clients)
    time.sleep(seconds)
    rate = load.end()
    server.call("DELETE", f"/admin/claims/{claim['token']}")
    return rate


def show(name: str, ratios: list[float]) -> None:
    rounds = " ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"{name}: {statistics.median(ratios):.3f} (rounds {rounds})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--engine", default="mistralrs")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--clients", type=int, default=1, help="clients per scheduler, and its batch size (default: 1)")
    parser.add_argument("--one-process", action="store_true")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("this needs two cores")
    settings = {"engine": options.engine, "model": options.model, "batch": options.clients}
    with tempfile.TemporaryDirectory() as folder:
        pair = Server(options.binary, Path(folder), PAIR, **settings)
        alone = Server(options.binary, Path(folder), "", **settings) if options.one_process else None
        try:
            run(options, pair, alone)
        finally:
            pair.stop()
            if alone:
                alone.stop()


def run(options: argparse.Namespace, pair: Server, alone: Server | None) -> None:
    claimed, neighbour, together = [], [], []
    for _ in range(options.rounds):
        started = time.monotonic()
        quiet = measured(pair, options.requests, options.clients)
        seconds = time.monotonic() - started
        idle = served(pair, seconds, options.clients)
        load = Load(pair, options.clients)
        loaded = measured(pair, options.requests, options.clients)
        busy = load.rate()
        load.end()
        claimed.append(loaded / quiet)
        neighbour.append(busy / idle)
        print(f"claimed: {quiet:.1f} alone, {loaded:.1f} with the other busy; other: {idle:.1f}, {busy:.1f}", flush=True)
        if alone:
            rates = []
            for server in (alone, pair):
                load = Load(server, 2 * options.clients)
                time.sleep(seconds)
                rates.append(load.end())
            together.append(rates[1] / rates[0])
            print(f"one process: {rates[0]:.1f}; two pinned ones: {rates[1]:.1f} tokens/s", flush=True)
    show("claimed, with a busy neighbour / with an idle one", claimed)
    show("neighbour, while the claimed one is measured / is idle", neighbour)
    if alone:
        show("two pinned processes / one process with all cores", together)


if __name__ == "__main__":
    main()
