"""Proves and measures Hostler on a GPU, with models of random weights that are made here.

    python3 run.py                        on cuda:0, in about eight minutes
    python3 run.py --device cpu --small   the same steps with small models on a CPU
    python3 run.py --only contract        the steps whose name begins with this; can be repeated

Needs Python 3.10 with numpy, PyYAML, requests and tqdm, and for a GPU PyTorch for CUDA 13, whose
libraries Hostler uses. Needs no network. Writes report.json and report.md to --out after each
step, so that an interrupted run leaves what it has measured.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import models
import report
from server import Failed, Server, hostler

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "packages"))


class Bench:
    """The steps. Each returns what it found, as JSON."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.device, self.small, self.folder = options.device, options.small, folder
        self.gpu = self.device.startswith("cuda")
        self.engines = options.engines.split(",")
        self.batches = [1, 4] if self.small else [1, 8, 32, 128]

    def steps(self) -> list[tuple[str, int, Callable[[], object]]]:
        """Name, maximum duration in seconds, function."""
        model = "tiny" if self.small else "1b"
        variants = [
            ("mistralrs, PagedAttention", {"engine": "mistralrs"}),
            ("mistralrs, no PagedAttention", {"engine": "mistralrs", "mistralrs.paged_attention": "false"}),
            ("llamacpp", {"engine": "llamacpp"}),
        ]
        throughput = [
            (f"throughput {model}: {name}", 90, lambda settings=settings: self.throughput(model, settings))
            for name, settings in variants
        ]
        large = [] if self.small else [
            ("throughput 8b: mistralrs, PagedAttention", 120, lambda: self.throughput("8b", {"engine": "mistralrs"}, [1, 32]))
        ]
        steps = [
            ("machine", 30, self.machine),
            ("models", 150, self.models),
            ("contract mistralrs f32", 100, lambda: self.contract("mistralrs", "tiny")),
            ("contract mistralrs f32, no PagedAttention", 100, lambda: self.contract("mistralrs", "tiny", paged=False)),
            ("contract llamacpp f32", 100, lambda: self.contract("llamacpp", "tiny")),
            ("contract mistralrs GGUF", 100, lambda: self.contract("mistralrs", "tiny.gguf")),
            *throughput,
            *large,
            ("cohorts", 90, lambda: self.cohorts(model)),
            ("prefix reuse: mistralrs", 60, lambda: self.prefix(model, "mistralrs")),
            ("prefix reuse: llamacpp", 60, lambda: self.prefix(model, "llamacpp")),
            ("ladder", 90, lambda: self.ladder(model)),
            ("benchmark", 40, lambda: self.benchmark(model)),
            ("two schedulers", 60, lambda: self.two_schedulers(model)),
            ("out of memory at load", 40, lambda: self.out_of_memory_at_load(model)),
            ("out of memory while serving", 60, lambda: self.out_of_memory_while_serving(model)),
            ("contract mistralrs bf16", 100, lambda: self.contract("mistralrs", model)),
        ]
        return [step for step in steps if "llamacpp" not in step[0] or "llamacpp" in self.engines]

    def machine(self) -> object:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,power.limit", "--format=csv,noheader"]
        gpu = subprocess.run(query, capture_output=True, text=True).stdout.strip() if self.gpu else None
        linked = subprocess.run(["ldd", HERE / "hostler"], capture_output=True, text=True).stdout
        return {
            "gpu": gpu, "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release(), "python": platform.python_version(),
            "hostler": hostler("--version").strip(), "linked": sorted(line.split()[0] for line in linked.splitlines()),
        }

    def models(self) -> object:
        wanted = [("tiny", "F32")] if self.small else [("tiny", "F32"), ("1b", "BF16"), ("8b", "BF16")]
        took = {}
        for name, dtype in wanted:
            begun = time.monotonic()
            models.safetensors(self.folder / name, models.SHAPES[name], dtype, self.device)
            if name != "8b":
                models.gguf(self.folder / f"{name}.gguf", models.SHAPES[name], dtype, self.device)
            files = [file for file in self.folder.rglob(f"{name}*") if file.is_file()] + list((self.folder / name).iterdir())
            took[name] = {"seconds": time.monotonic() - begun, "bytes": sum(file.stat().st_size for file in set(files))}
        return took

    def settings(self, engine: str, model: str, **more: str) -> dict[str, str]:
        path = self.folder / (f"{model}.gguf" if engine == "llamacpp" and not model.endswith(".gguf") else model)
        weights = {"mistralrs.weight_format": "f32"} if model == "tiny" else {}
        return {"engine": engine, "model": str(path), "device": self.device, "isolation": "thread"} | weights | more

    def contract(self, engine: str, model: str, paged: bool = True) -> object:
        settings = self.settings(engine, model, max_batch_size="8")
        if not paged:
            settings["mistralrs.paged_attention"] = "false"
        checks = json.loads(hostler("verify", "--json", settings=settings, may_fail=True))[0]["checks"]
        failed = {check["name"]: check["violation"][:400] for check in checks if not check["passed"]}
        return {"passed": len(checks) - len(failed), "failed": failed, "seconds": sum(check["seconds"] for check in checks)}

    def serve(self, model: str, more: dict[str, str]) -> Server:
        return Server(self.settings(more.get("engine", "mistralrs"), model) | more, self.folder)

    def measure(self, server: Server, concurrency: int, *load: str, requests: int = 0) -> dict[str, float]:
        """The rates and times of one run over HTTP, streaming."""
        out = self.folder / "result.json"
        hostler(
            "bench", "run", "--url", server.url, "--endpoint", "completions", "--temperature", "0", "-c", str(concurrency),
            "-n", str(requests or 2 * concurrency + 2), "--output", str(out), *load, *(["--gpu", "0"] if self.gpu else []),
            timeout=80,
        )
        run = json.loads(out.read_text())["series"][0]["runs"][0]
        found = {
            "tokens_per_second": run["output_tokens_per_second"], "ttft_p50_ms": 1000 * run["latencies"]["ttft"]["p50"],
            "tokens_per_joule": run["output_tokens_per_joule"], "failed": run["failed"],
        }
        return found | ({"failures": run["failures"], "log": server.read_log()[:1500]} if run["failed"] else {})

    def throughput(self, model: str, more: dict[str, str], batches: list[int] | None = None) -> object:
        batches = batches or self.batches
        tokens = ("16", "16") if self.small else ("128", "64")
        more = {"max_batch_size": str(max(batches)), "max_context_length": "512"} | more
        with self.serve(model, more) as server:
            load = ("--prompt-tokens", tokens[0], "--max-tokens", tokens[1])
            rates = {str(batch): self.measure(server, batch, *load) for batch in batches}
            return {"load_seconds": server.load_seconds, "rates": rates, "gpu": server.gpu_metrics()}

    def cohorts(self, model: str) -> object:
        """Unlike lengths: cohorts that drain before the next starts, against continuous refill."""
        found = {}
        batch = max(self.batches[:-1])
        lengths = ("8-32", "4-16") if self.small else ("32-256", "16-112")
        for name, wait in (("cohorts", "10000"), ("continuous refill", "0")):
            more = {"max_batch_size": str(batch), "max_context_length": "512", "batching.cohort_wait_ms_max": wait}
            with self.serve(model, more) as server:
                found[name] = self.measure(
                    server, 2 * batch, "--prompt-tokens", lengths[0], "--max-tokens", lengths[1], requests=4 * batch
                )
        return found

    def prefix(self, model: str, engine: str) -> object:
        """The time to the first token of prompts that share their beginning, the first excluded."""
        tokens = 128 if self.small else 2048
        with self.serve(model, {"engine": engine, "max_batch_size": "4", "max_context_length": "4096"}) as server:
            unlike = [server.first_token(f"{number} " + "word " * tokens) for number in range(4)]
            alike = [server.first_token("word " * tokens + f" {number}") for number in range(5)]
        return {
            "prompt_words": tokens, "unlike_ttft_ms": median(ms for ms, _ in unlike[1:]),
            "alike_ttft_ms": median(ms for ms, _ in alike[1:]), "cached_tokens": alike[-1][1],
        }

    def ladder(self, model: str) -> object:
        out = self.folder / "ladder.json"
        tokens = ("16", "8") if self.small else ("64", "64")
        batch = 1 if self.small else 8
        settings = self.settings("mistralrs", model, max_batch_size=str(batch), max_context_length="512")
        hostler(
            "bench", "ladder", "--min-serving", "0", "--repeats", "2" if self.small else "5", "-c", str(batch),
            "-n", str(2 * batch), "--prompt-tokens", tokens[0], "--max-tokens", tokens[1], "--output", str(out),
            "--layers", "engine,scheduler,router,http,http-stream", settings=settings, timeout=85,
        )
        series = json.loads(out.read_text())["series"]
        return {one["name"]: median(run["output_tokens_per_second"] for run in one["runs"]) for one in series}

    def benchmark(self, model: str) -> object:
        with self.serve(model, {"max_batch_size": "8", "max_context_length": "512"}) as server:
            return server.post("/benchmark", {"requests": 4 if self.small else 40, "concurrency": 8})["data"]

    def two_schedulers(self, model: str) -> object:
        """Tokens per second of one scheduler, and of two on the same device."""
        found, batch = {}, self.batches[1]
        load = ("--prompt-tokens", "16" if self.small else "64", "--max-tokens", "16" if self.small else "64")
        for count in (1, 2):
            schedulers = {f"s{number}": {} for number in range(count)}
            settings = self.settings(self.engines[-1], model, max_batch_size=str(batch), max_context_length="512")
            with Server(settings | {"isolation": "process"}, self.folder, schedulers) as server:
                found[str(count)] = self.measure(server, batch * count, *load)
        return found

    def out_of_memory_at_load(self, model: str) -> object:
        """A KV cache that cannot fit: an error and exit code 1, not a crash."""
        if not self.gpu:
            return "only on a GPU"
        settings = self.settings("mistralrs", model) | {"mistralrs.kv_cache_tokens": str(1 << 26)}
        try:
            with Server(settings, self.folder):
                raise AssertionError("it serves")
        except Failed as failed:
            if failed.code != 1:
                raise
            return {"exit_code": failed.code, "message": failed.last_line}

    def out_of_memory_while_serving(self, model: str) -> object:
        """Long prompts on a GPU that the KV cache has filled: clear errors, and it serves afterwards."""
        if not self.gpu:
            return "only on a GPU"
        settings = self.settings("mistralrs", model, max_batch_size="32", max_context_length="8192")
        # The end of its process frees what a failed engine still holds.
        settings |= {"mistralrs.kv_cache_memory_share": "0.97", "isolation": "process"}
        with Server(settings, self.folder) as server:
            before = server.complete("Hello", 4)
            long = server.complete_many("word " * 7000, 8, 16)
            server.wait_until_ready(30)
            after = server.complete("Hello", 4)
        if after["text"] != before["text"]:
            raise AssertionError(f"{after} after the long prompts instead of {before}")
        return {"outcomes_of_long_prompts": long, "served_afterwards": True}


def cuda_libraries() -> list[str]:
    """The folders in which PyTorch's packages keep the libraries of CUDA."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in spec.submodule_search_locations] if spec else []
    return sorted({str(file.parent) for root in roots for file in root.rglob("lib*.so.*") if file.name.startswith(("libcublas", "libcurand", "libnvrtc"))})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--small", action="store_true", help="small models and few requests")
    parser.add_argument("--engines", default="mistralrs,llamacpp", help="those that the binary holds")
    parser.add_argument("--only", action="append", help="steps whose name begins with this")
    parser.add_argument("--out", type=Path, default=Path("gpu-report"))
    parser.add_argument("--models", type=Path, default=Path("/dev/shm"), help="where the models are made; 22 GB")
    options = parser.parse_args()
    libraries = cuda_libraries() + os.environ.get("LD_LIBRARY_PATH", "").split(":")
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="hostler-gpu-", dir=options.models))
    done = []
    try:
        bench = Bench(options, folder)
        for name, seconds, step in bench.steps():
            if options.only and name not in ("machine", "models") and not any(name.startswith(only) for only in options.only):
                continue
            done.append(report.run(name, seconds, step))
            report.write(options.out, options.device, done)
    finally:
        shutil.rmtree(folder)
    return 0 if all(step["ok"] for step in done) else 1


if __name__ == "__main__":
    sys.exit(main())
