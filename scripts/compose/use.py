"""Uses the composition that is up: chats, kills a worker under streams, claims a scheduler
for a benchmark, asks Prometheus. `use.py GATEWAY PROMETHEUS`"""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

GATEWAY, PROMETHEUS = sys.argv[1:]
PATIENCE_SECONDS = 600


def ask(method: str, url: str, body: dict | None = None, timeout: float = 120) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def until(what: str, look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come true")
        time.sleep(0.5)
    print(f"  {what}", flush=True)
    return found


def compose(*arguments: str) -> str:
    return subprocess.run(["docker-compose", *arguments], check=True, capture_output=True, text=True).stdout


def container(service: str) -> str:
    return compose("ps", "-q", service).strip()


def healthy(service: str) -> bool:
    command = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container(service)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "healthy"


def query(expression: str) -> float:
    _, body = ask("GET", f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    return sum(float(sample["value"][1]) for sample in json.loads(body)["data"]["result"]) if body else 0.0


def chat(tokens: int, stream: bool = False) -> tuple[int, bytes]:
    body = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": tokens, "stream": stream, "ignore_eos": True}
    return ask("POST", f"{GATEWAY}/v1/chat/completions", body, 300)


for service in ("etcd", "worker-1", "worker-2", "gateway", "prometheus"):
    until(f"{service} is healthy", lambda service=service: healthy(service))

status, body = chat(24)
assert status == 200, body
print("  it says:", json.loads(body)["choices"][0]["message"]["content"].replace("\n", " "), flush=True)
until("Prometheus sees three nodes", lambda: query('sum(up{job="hostler"})') == 3)
until("both workers' schedulers serve", lambda: query('sum(hostler_scheduler_state{state="serving"})') == 2)

answers: list[bytes] = []
streams = [threading.Thread(target=lambda: answers.append(chat(1500, True)[1])) for _ in range(4)]
for stream in streams:
    stream.start()


def running() -> list[int]:
    return [scheduler["running"] for scheduler in json.loads(ask("GET", f"{GATEWAY}/admin/schedulers")[1])["data"]]


until("streams run on both workers", lambda: min(running()) > 0)
subprocess.run(["docker", "kill", container("worker-2")], check=True, capture_output=True)
for stream in streams:
    stream.join()
broken = sum(b"event: error" in answer for answer in answers)
assert len(answers) == 4 and all(answer.rstrip().endswith(b"data: [DONE]") for answer in answers), answers
print(f"  a worker was killed: {4 - broken} of 4 streams were finished, {broken} ended in an error", flush=True)
assert broken < 4, "the other worker's streams are not its business"
assert chat(8)[0] == 200, "one worker is enough"
until("Prometheus sees that it is gone", lambda: query('sum(up{job="hostler"})') < 3)
compose("up", "-d", "--no-deps", "worker-2")
until("it is back", lambda: healthy("worker-2") and query('sum(up{job="hostler"})') == 3)
until("the gateway uses it again", lambda: ask("GET", f"{GATEWAY}/admin/schedulers")[1].count(b'"serving"') == 2)

order = {"profile": "run", "requests": 8, "shape": {"kind": "concurrent", "concurrency": 4}}
status, body = ask("POST", f"{GATEWAY}/v1/benchmarks", order)
assert status < 300, body
name = json.loads(body)["id"]


def ended() -> dict | None:
    record = json.loads(ask("GET", f"{GATEWAY}/v1/benchmarks/{name}")[1])
    return record if record.get("status") in ("done", "failed", "cancelled") else None


record = until("a benchmark has ended", ended)
assert record["status"] == "done", record.get("error")
until("Prometheus knows of it", lambda: query('hostler_benchmark_runs_total{outcome="done"}') == 1)
until("nothing is claimed any more", lambda: query('sum(hostler_scheduler_state{state="claimed"})') == 0)
print(f"  tokens generated: {query('sum(hostler_scheduler_generation_tokens_total)'):.0f}", flush=True)
