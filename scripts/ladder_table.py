"""Prints Markdown tables, one per engine, of the rounds that scripts/ladder.sh wrote to FOLDER."""

import json
import sys
from pathlib import Path
from statistics import median

CALL = "POST /benchmark"
# The layer below, where it is not the preceding row of the table.
BELOW = {"grpc": "scheduler", "router": "scheduler", CALL: "scheduler"}


def rounds(folder: Path) -> list[dict[str, float]]:
    """Tokens per second of each layer in each round."""
    found = []
    for path in sorted(folder.glob("ladder-*.json"), key=lambda path: int(path.stem.rpartition("-")[2])):
        series = json.loads(path.read_text())["series"]
        rates = {one["name"]: one["runs"][0]["output_tokens_per_second"] for one in series}
        failed = sum(one["runs"][0]["failed"] for one in series)
        called = json.loads((folder / path.name.replace("ladder", "benchmark")).read_text())["data"]
        if failed or called["failed_requests"]:
            sys.exit(f"{path}: requests failed, so its rates cannot be compared")
        found.append(rates | {CALL: called["avg_tokens_per_second"]})
    return found


def shown(ratios: list[float]) -> str:
    return f"{median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"


def main(folder: Path) -> None:
    for engine in sorted(path for path in folder.iterdir() if path.is_dir()):
        measured = rounds(engine)
        layers = list(measured[0])
        print(f"{engine.name}, {len(measured)} rounds; medians, and the range of the ratios:\n")
        print("| layer | tokens/s | of the engine | of the layer below |")
        print("|---|---|---|---|")
        for index, layer in enumerate(layers):
            rate = median(one[layer] for one in measured)
            below = BELOW.get(layer, layers[index - 1])
            of = [shown([one[layer] / one[base] for one in measured]) for base in (layers[0], below)]
            print(f"| {layer} | {rate:.1f} | " + (" | ".join(of) if index else "1 | 1") + " |")
        print()


main(Path(sys.argv[1]))
