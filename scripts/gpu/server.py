"""Starts Hostler and sends requests to it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

BINARY = Path(__file__).parent / "hostler"


class Failed(Exception):
    """The command exited with an error."""

    def __init__(self, command: str, code: int, output: str):
        self.code, self.last_line = code, (output.strip().splitlines() or [""])[-1]
        super().__init__(f"{command}: exit code {code}\n{output[-3000:]}")


def variables(settings: dict[str, str]) -> dict[str, str]:
    """The settings of [scheduler] as environment variables."""
    name = lambda key: "HOSTLER_SCHEDULER__" + key.replace(".", "__").upper()  # noqa: E731
    return {name(key): value for key, value in settings.items()}


def hostler(*arguments: str, settings: dict[str, str] | None = None, may_fail: bool = False, timeout: float = 95) -> str:
    """Runs a command, and returns what it prints."""
    environment = os.environ | variables(settings or {})
    done = subprocess.run([BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=timeout)
    if done.returncode and not (may_fail and done.stdout):
        raise Failed(" ".join(arguments[:2]), done.returncode, done.stderr or done.stdout)
    return done.stdout


class Server:
    """A running `hostler serve`."""

    def __init__(self, settings: dict[str, str], folder: Path, schedulers: dict[str, dict] | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(folder / "server.log", "w+")
        command = [BINARY, "serve", "--address", f"127.0.0.1:{port}", "--log-filter", "warn"]
        if schedulers:
            config = folder / "hostler.toml"
            config.write_text("".join(f"[schedulers.{name}]\n" for name in schedulers))
            command += ["--config", config]
        self.process = subprocess.Popen(command, env=os.environ | variables(settings), stdout=self.log, stderr=self.log)
        begun = time.monotonic()
        try:
            self.wait_until_ready(80)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.load_seconds = time.monotonic() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if error is not None:
            # The first error that the server logged is the cause of those that follow.
            error.add_note(f"the server's log: {self.read_log()[:2000]}")
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until_ready(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            code = self.process.poll()
            if code is not None:
                raise Failed("hostler serve", code, self.read_log())
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5)
                return
            except OSError:
                if time.monotonic() > end:
                    raise TimeoutError(f"not ready after {seconds} s: {self.read_log()[-2000:]}") from None
                time.sleep(0.05)

    def read_log(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def post(self, path: str, body: dict) -> dict:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def model(self) -> str:
        with urllib.request.urlopen(f"{self.url}/v1/models", timeout=5) as answer:
            return json.load(answer)["data"][0]["id"]

    def complete(self, prompt: str, tokens: int) -> dict:
        body = {"model": self.model(), "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        answer = self.post("/v1/completions", body)
        return {"text": answer["choices"][0]["text"], "usage": answer["usage"]}

    def first_token(self, prompt: str) -> tuple[float, int]:
        """Milliseconds to the only token of an answer, and how much of the prompt was cached."""
        begun = time.monotonic()
        usage = self.complete(prompt, 1)["usage"]
        return (time.monotonic() - begun) * 1000, usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)

    def complete_many(self, prompt: str, tokens: int, count: int) -> dict[str, int]:
        """How requests that run at the same time end."""

        def outcome(number: int) -> str:
            try:
                self.complete(f"{number} {prompt}", tokens)
                return "answered"
            except urllib.error.HTTPError as error:
                return f"{error.code} {json.load(error)['error']['message'][:160]}"
            except OSError as error:
                return repr(error)

        with ThreadPoolExecutor(count) as pool:
            outcomes = list(pool.map(outcome, range(count)))
        return {one: outcomes.count(one) for one in set(outcomes)}

    def gpu_metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("hostler_gpu_")]
        return {name.partition("{")[0]: float(value) for name, _, value in found}
