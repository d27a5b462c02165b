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


def confined(service: str) -> bool:
    """Whether it runs as somebody without rights, on a file system that nobody can write to."""
    look = "id -u; grep ' / ' /proc/mounts"
    done = subprocess.run(["docker", "exec", container(service), "sh", "-c", look], check=True, capture_output=True, text=True)
    user, mount = done.stdout.splitlines()
    return user != "0" and "ro" in mount.split()[3].split(",")


def query(expression: str) -> float:
    _, body = ask("GET", f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    return sum(float(sample["value"][1]) for sample in json.loads(body)["data"]["result"]) if body else 0.0


def chat(tokens: int, stream: bool = False) -> tuple[int, bytes]:
    body = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": tokens, "stream": stream, "ignore_eos": True}
    return ask("POST", f"{GATEWAY}/v1/chat/completions", body, 300)


def each(field: str) -> list:
    """What the gateway says of each scheduler."""
    return [scheduler[field] for scheduler in json.loads(ask("GET", f"{GATEWAY}/admin/schedulers")[1])["data"]]


for service in ("etcd", "worker-1", "worker-2", "gateway", "prometheus"):
    until(f"{service} is healthy", lambda service=service: healthy(service))
    assert confined(service), f"{service} could do more than it needs"
print("  none of them is root, or can write to its root file system", flush=True)

status, body = chat(24)
assert status == 200, body
print("  it says:", json.loads(body)["choices"][0]["message"]["content"].replace("\n", " "), flush=True)
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
print(f"  a worker was killed: {4 - broken} of 4 streams went on to their end", flush=True)
assert broken == 0, "the other worker goes on with its streams"
assert chat(8)[0] == 200, "one worker is enough"
until("Prometheus sees that it is gone", lambda: query('sum(up{job="hostler"})') < 3)
compose("up", "-d", "--no-deps", "worker-2")
until("it is back", lambda: healthy("worker-2") and query('sum(up{job="hostler"})') == 3)
until("the gateway uses it again", lambda: each("state") == ["serving"] * 2)

answers = []
order = {"requests": 40, "concurrency": 8, "max_tokens": 50}
benchmark = threading.Thread(target=lambda: answers.append(ask("POST", f"{GATEWAY}/benchmark", order, PATIENCE_SECONDS)))
benchmark.start()
until("a benchmark has claimed a scheduler", lambda: "claimed" in each("state"))
assert chat(8)[0] == 200, "the other scheduler goes on serving"
benchmark.join()
((status, body),) = answers
assert status == 200, body
measured = json.loads(body)["data"]
assert measured["successful_requests"] == order["requests"], measured
print(f"  it measured {measured['avg_tokens_per_second']:.0f} tokens/s on {measured['claim']['scheduler']}", flush=True)
until("Prometheus knows of it", lambda: query('hostler_benchmark_runs_total{outcome="done"}') == 1)
until("the claim was given back", lambda: query('hostler_router_claims_total{outcome="released"}') == 1)
until("both schedulers serve again", lambda: query('sum(hostler_scheduler_state{state="serving"})') == 2)
print(f"  tokens generated: {query('sum(hostler_scheduler_generation_tokens_total)'):.0f}", flush=True)
