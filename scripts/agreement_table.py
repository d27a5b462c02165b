"""Compares the results of two tools, which scripts/agreement.sh wrote to FOLDER.

Exits with code 1 if they disagree.
"""

import json
import sys
from pathlib import Path
from statistics import median

# The largest allowed difference of a median ratio from 1.
TOLERANCE = 0.05

# Each measure's name in Hostler, and the keys of its value in both tools' results. aiperf calls
# TPOT inter token latency, and ITL inter chunk latency.
MEASURES = {
    "TTFT, mean, ms": (("ttft", "mean"), ("time_to_first_token", "avg")),
    "TTFT, p50, ms": (("ttft", "p50"), ("time_to_first_token", "p50")),
    "TPOT, mean, ms": (("tpot", "mean"), ("inter_token_latency", "avg")),
    "TPOT, p50, ms": (("tpot", "p50"), ("inter_token_latency", "p50")),
    "ITL, mean, ms": (("itl", "mean"), ("inter_chunk_latency", "avg")),
    "ITL, p50, ms": (("itl", "p50"), ("inter_chunk_latency", "p50")),
    "E2E, mean, ms": (("e2e", "mean"), ("request_latency", "avg")),
    "output tokens/s": (None, ("output_token_throughput", "avg")),
}


def ours(path: Path, keys: tuple[str, str] | None) -> float:
    run = json.loads(path.read_text())["series"][0]["runs"][0]
    if run["failed"]:
        sys.exit(f"{path}: {run['failed']} requests failed")
    if keys is None:
        return run["output_tokens_per_second"]
    return run["latencies"][keys[0]][keys[1]] * 1e3


def theirs(folder: Path, keys: tuple[str, str]) -> float:
    result = json.loads((folder / "profile_export_aiperf.json").read_text())
    return result[keys[0]][keys[1]]


def main(folder: Path) -> int:
    disagreements = []
    for engine in sorted(path.parent for path in folder.glob("*/hostler.toml")):
        rounds = sorted(int(path.stem.rpartition("-")[2]) for path in engine.glob("ours-*.json"))
        print(f"{engine.name}, {len(rounds)} rounds; medians, and the range of the ratios:\n")
        print("| measure | hostler bench run | aiperf | ratio |")
        print("|---|---|---|---|")
        for name, (our_keys, their_keys) in MEASURES.items():
            a = [ours(engine / f"ours-{number}.json", our_keys) for number in rounds]
            b = [theirs(engine / f"aiperf-{number}", their_keys) for number in rounds]
            ratios = [one / other for one, other in zip(a, b)]
            print(
                f"| {name} | {median(a):.2f} | {median(b):.2f} "
                f"| {median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f}) |"
            )
            if abs(median(ratios) - 1) > TOLERANCE:
                disagreements.append(f"{engine.name}: {name}: {median(ratios):.3f}")
        print()
    print("\n".join(["differ by more than 5 %:", *disagreements]) if disagreements else "all agree within 5 %", file=sys.stderr)
    return 1 if disagreements else 0


sys.exit(main(Path(sys.argv[1])))
