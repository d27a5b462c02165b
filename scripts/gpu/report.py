"""Runs steps and writes what they found, as JSON and Markdown."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def run(name: str, seconds: int, step: Callable[[], object]) -> dict:
    """Runs one step, for at most so many seconds. A failure is a result, too."""
    print(f"{name} …", end=" ", flush=True)
    begun = time.monotonic()

    def late(*_: object) -> None:
        raise TimeoutError(f"it takes longer than {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        found, error = step(), None
    except (Exception, SystemExit) as failure:
        found, error = None, "".join(traceback.format_exception_only(failure)).strip()
        if os.environ.get("GPU_TRACEBACK"):
            traceback.print_exc()
    finally:
        signal.alarm(0)
    ok = error is None and not (isinstance(found, dict) and found.get("failed"))
    took = time.monotonic() - begun
    print(f"{'ok' if ok else 'FAILED'} ({took:.1f} s)", file=sys.stdout, flush=True)
    if not ok:
        print(f"    {error or found}", flush=True)
    return {"name": name, "ok": ok, "seconds": round(took, 2), "found": found, "error": error}


def write(folder: Path, device: str, steps: list[dict]) -> None:
    (folder / "report.json").write_text(json.dumps({"device": device, "steps": steps}, indent=1, ensure_ascii=False))
    lines = [f"# Hostler on {device}", "", "| step | result | seconds | found |", "|---|---|---|---|"]
    for step in steps:
        found = step["error"] or shown(step["found"])
        lines.append(f"| {step['name']} | {'ok' if step['ok'] else '**failed**'} | {step['seconds']:.1f} | {cell(found)} |")
    (folder / "report.md").write_text("\n".join(lines) + "\n")


def shown(found: object) -> str:
    """A result on one line."""
    match found:
        case dict():
            return "; ".join(f"{name}: {shown(value)}" for name, value in found.items())
        case list():
            return ", ".join(shown(value) for value in found)
        case float():
            return f"{found:.4g}"
        case _:
            return str(found)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:1500]
