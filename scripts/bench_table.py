"""Prints a Markdown table of the results that `make bench` wrote to FOLDER."""

import json
import sys
from pathlib import Path

RATE = "output_tokens_per_second"
CPU = "server_cpu_seconds_per_1000_tokens"
NAMES = {
    "llamacpp": "Hostler, llamacpp",
    "llamacpp traced": "the same, tracing at 10 %",
    "mistralrs": "Hostler, mistralrs",
    "simulated": "Hostler, simulated",
    "simulated traced": "the same, tracing at 10 %",
    "llama.cpp": "llama.cpp's own server",
}


def main(folder: Path) -> None:
    print("| load | A | B | A, tokens/s | B, tokens/s | A ÷ B (range) | CPU of A and B, ms per 1,000 tokens | failed |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.json")):
        *load, left, right = path.stem.split(", ")
        result = json.loads(path.read_text())
        a, b = result["series"]
        ratio = result["ratios"][0]["ratio"]
        failed = sum(run["failed"] for series in (a, b) for run in series["runs"])
        rates = (f"{series['estimates'][RATE]['median']:.0f}" for series in (a, b))
        # Present only for servers whose process id was given.
        costs = [f"{series['estimates'][CPU]['median'] * 1e3:.1f}" for series in (a, b) if CPU in series["estimates"]]
        print(
            f"| {', '.join(load)} | {NAMES[left]} | {NAMES[right]} | {' | '.join(rates)} "
            f"| {ratio['median']:.3f} ({ratio['low']:.3f}–{ratio['high']:.3f}) | {', '.join(costs) or '–'} | {failed} |"
        )


main(Path(sys.argv[1]))
