"""A table in Markdown of the results that `make bench` left in FOLDER."""

import json
import sys
from pathlib import Path

RATE = "output_tokens_per_second"
NAMES = {
    "llamacpp": "Hostler, llamacpp",
    "mistralrs": "Hostler, mistralrs",
    "llama.cpp": "llama.cpp's own server",
}


def main(folder: Path) -> None:
    print("| load | A | B | A, tokens/s | B, tokens/s | A ÷ B (its range) | failed |")
    print("|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.json")):
        *load, left, right = path.stem.split(", ")
        result = json.loads(path.read_text())
        a, b = result["series"]
        ratio = result["ratios"][0]["ratio"]
        failed = sum(run["failed"] for series in (a, b) for run in series["runs"])
        rates = (f"{series['estimates'][RATE]['median']:.0f}" for series in (a, b))
        print(
            f"| {', '.join(load)} | {NAMES[left]} | {NAMES[right]} | {' | '.join(rates)} "
            f"| {ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f}) | {failed} |"
        )


main(Path(sys.argv[1]))
