"""Tests the running compose services: chats, kills a worker during streams, runs a benchmark
on a claimed scheduler, queries Prometheus. `use.py GATEWAY PROMETHEUS`"""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

GATEWAY, PROMETHEUS = sys.argv[1:]
TIMEOUT_SECONDS = 600


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


def until(what: str, condition):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"timed out: {what}")
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


def confined(service: str) -> bool:
    """Whether a service runs without root on a read-only root file system."""
    script = "id -u; grep ' / ' /proc/mounts"
    done = subprocess.run(["docker", "exec", container(service), "sh", "-c", script], check=True, capture_output=True, text=True)
    user, mount = done.stdout.splitlines()
    return user != "0" and "ro" in mount.split()[3].split(",")


def query(expression: str) -> float:
    _, body = ask("GET", f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    return sum(float(sample["value"][1]) for sample in json.loads(body)["data"]["result"]) if body else 0.0


def chat(tokens: int, stream: bool = False) -> tuple[int, bytes]:
    body = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": tokens, "stream": stream, "ignore_eos": True}
    return ask("POST", f"{GATEWAY}/v1/chat/completions", body, 300)


def each(field: str) -> list:
    """A field of each scheduler, as the gateway reports it."""
    return [scheduler[field] for scheduler in json.loads(ask("GET", f"{GATEWAY}/admin/schedulers")[1])["data"]]


for service in ("etcd", "worker-1", "worker-2", "gateway", "prometheus"):
    until(f"{service} is healthy", lambda service=service: healthy(service))
    assert confined(service), f"{service} runs as root, or can write to its root file system"
print("  no service is root, or can write to its root file system", flush=True)

status, body = chat(24)
assert status == 200, body
print("  answer:", json.loads(body)["choices"][0]["message"]["content"].replace("\n", " "), flush=True)
until("Prometheus sees three nodes", lambda: query('sum(up{job="hostler"})') == 3)
until("both workers' schedulers serve", lambda: query('sum(hostler_scheduler_state{state="serving"})') == 2)

answers: list[bytes] = []
streams = [threading.Thread(target=lambda: answers.append(chat(1500, True)[1])) for _ in range(4)]
for stream in streams:
    stream.start()


until("streams run on both workers", lambda: min(each("running")) > 0)
subprocess.run(["docker", "kill", container("worker-2")], check=True, capture_output=True)
for stream in streams:
    stream.join()
broken = sum(b"event: error" in answer for answer in answers)
assert len(answers) == 4 and all(answer.rstrip().endswith(b"data: [DONE]") for answer in answers), answers
print(f"  a worker was killed: {4 - broken} of 4 streams finished", flush=True)
assert broken == 0, "the other worker must continue its streams"
assert chat(8)[0] == 200, "one worker must be enough"
until("Prometheus sees that the worker is down", lambda: query('sum(up{job="hostler"})') < 3)
compose("up", "-d", "--no-deps", "worker-2")
until("the worker is up again", lambda: healthy("worker-2") and query('sum(up{job="hostler"})') == 3)
until("the gateway uses the worker again", lambda: each("state") == ["serving"] * 2)

answers = []
order = {"requests": 40, "concurrency": 8, "max_tokens": 50}
benchmark = threading.Thread(target=lambda: answers.append(ask("POST", f"{GATEWAY}/benchmark", order, TIMEOUT_SECONDS)))
benchmark.start()
until("a benchmark has claimed a scheduler", lambda: "claimed" in each("state"))
assert chat(8)[0] == 200, "the other scheduler must keep serving"
benchmark.join()
((status, body),) = answers
assert status == 200, body
measured = json.loads(body)["data"]
assert measured["successful_requests"] == order["requests"], measured
print(f"  the benchmark measured {measured['avg_tokens_per_second']:.0f} tokens/s on {measured['claim']['scheduler']}", flush=True)
until("Prometheus counts the benchmark", lambda: query('hostler_benchmark_runs_total{outcome="done"}') == 1)
until("the claim is released", lambda: query('hostler_router_claims_total{outcome="released"}') == 1)
until("both schedulers serve again", lambda: query('sum(hostler_scheduler_state{state="serving"})') == 2)
print(f"  tokens generated: {query('sum(hostler_scheduler_generation_tokens_total)'):.0f}", flush=True)
