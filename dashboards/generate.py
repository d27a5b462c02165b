"""Writes the Grafana dashboards: `python3 dashboards/generate.py [FOLDER]`.

They are built with Grafana's Foundation SDK, which checks their schema. It is listed in
`tests/observability/requirements.txt`; `scripts/setup.sh test` installs it.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "grafana"))

from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: E402

from generator import benchmarks, cluster, overview, router, schedulers  # noqa: E402

# Fields of Grafana's Prometheus annotations that the SDK does not support.
CLAIM = {"titleFormat": "claimed", "textFormat": "{{node}}.{{scheduler}}"}
FOLDER = Path(__file__).parent / "grafana" / "dashboards"


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for module in (overview, schedulers, benchmarks, router, cluster):
        name = module.__name__.rpartition(".")[2]
        dashboard = json.loads(JSONEncoder(sort_keys=True).encode(module.build().build()))
        for annotation in dashboard["annotations"]["list"]:
            annotation |= CLAIM
        text = json.dumps(dashboard, sort_keys=True, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
