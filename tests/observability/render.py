"""Draws every panel of every dashboard with data from a real Prometheus, for visual review:
`HOSTLER_BIN=… python3 render.py FOLDER`. Requires matplotlib in addition to the tests'
packages. The cluster is that of the tests; after a minute a worker is killed, and restarted
later.

The drawing is simpler than Grafana's, but uses the same queries with all variables selected,
and the same legends, units, thresholds and annotations.
"""

import math
import re
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

from conftest import start_faulty_cluster  # noqa: E402
from load import Traffic  # noqa: E402
from prometheus import Prometheus  # noqa: E402
from repository import dashboards  # noqa: E402

BEFORE_SECONDS, DOWN_SECONDS, AFTER_SECONDS = 60, 15, 45
# A row of a dashboard has 24 columns; a panel's height is counted in rows of 30 pixels.
COLUMNS, COLUMN_INCHES, ROW_INCHES = 24, 1.0, 0.45
COLORS = {"transparent": "none", "dark-red": "darkred"}


def filled_in(expression: str, window: str) -> str:
    """The query as Grafana sends it with all values selected."""
    return re.sub(r"\$(model|scheduler|node)\b", ".*", expression.replace("$__rate_interval", window))


def color(name: str | None) -> str | None:
    return COLORS.get(name, name)


def shown(value: float, unit: str) -> str:
    """A value, formatted with Grafana's unit."""
    match unit:
        case "percentunit":
            return f"{value:.1%}"
        case "s" if abs(value) < 1:
            return f"{value * 1e3:.3g} ms"
        case "s":
            return f"{value:.3g} s"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "reqps":
            return f"{value:.3g} req/s"
        case _ if unit.startswith("suffix:"):
            return f"{value:.4g}{unit.removeprefix('suffix:')}"
    return f"{value:.4g}"


def real(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)] or [math.nan]


def last(values: list[float]) -> float:
    return real(values)[-1]


class Board:
    """One dashboard and the time range that it shows."""

    def __init__(self, prometheus: Prometheus, dashboard: dict, begin: float):
        self.prometheus, self.dashboard, self.begin = prometheus, dashboard, begin
        self.seconds = int(time.time() - begin)

    def series(self, expression: str, legend: str) -> list[tuple[str, list[float]]]:
        """The values of each series by second; NaN where there is none."""
        answer = self.prometheus.get(
            "query_range", query=filled_in(expression, "20s"), start=self.begin, end=self.begin + self.seconds, step=1
        )
        found = []
        for one in answer["result"]:
            name = re.sub(r"\{\{(\w+)\}\}", lambda label: one["metric"].get(label[1], ""), legend)
            known = {round(at - self.begin): float(value) for at, value in one["values"]}
            found.append((name.strip(), [known.get(second, math.nan) for second in range(self.seconds + 1)]))
        return sorted(found)

    def draw(self, path: Path) -> None:
        panels = [panel for panel in self.dashboard["panels"] if panel["type"] != "row"]
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        figure = plot.figure(figsize=(COLUMNS * COLUMN_INCHES, bottom * ROW_INCHES))
        grid = figure.add_gridspec(bottom, COLUMNS, hspace=3.5, wspace=3, left=0.04, right=0.99, top=0.99, bottom=0.01)
        for panel in panels:
            position = panel["gridPos"]
            x, y = position.get("x", 0), position.get("y", 0)
            axes = figure.add_subplot(grid[y : y + position["h"], x : x + position["w"]])
            axes.set_title(panel["title"], fontsize=9, loc="left")
            getattr(self, panel["type"].replace("-", "_"))(axes, panel, panel["fieldConfig"]["defaults"])
        figure.savefig(path, dpi=80)
        plot.close(figure)

    def timeseries(self, axes: Axes, panel: dict, field: dict) -> None:
        unit = field["unit"]
        series = [one for target in panel["targets"] for one in self.series(target["expr"], target["legendFormat"])]
        stacked = field["custom"].get("stacking", {}).get("mode") == "normal"
        seconds = range(self.seconds + 1)
        floor = [0.0] * len(seconds)
        for name, values in series:
            label = f"{name or '(no name)'}: {shown(last(values), unit)}, max {shown(max(real(values)), unit)}"
            if stacked:
                top = [low + (0.0 if math.isnan(value) else value) for low, value in zip(floor, values)]
                axes.fill_between(seconds, floor, top, alpha=0.6, label=label, linewidth=0)
                floor = top
            else:
                axes.plot(seconds, values, label=label, linewidth=1)
        for step in field.get("thresholds", {}).get("steps", []):
            if step["value"] is not None:
                axes.axhline(step["value"], color=color(step["color"]), linestyle="--", linewidth=0.8)
        if "max" in field:
            axes.set_ylim(0, field["max"] * 1.02)
        axes.set_ylim(bottom=field.get("min"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
        self.time_axis(axes)
        if series:
            axes.legend(fontsize=6, loc="upper left", framealpha=0.5)

    def time_axis(self, axes: Axes) -> None:
        axes.set_xlim(0, self.seconds)
        axes.tick_params(labelsize=6)
        for annotation in self.dashboard["annotations"]["list"]:
            for _, values in self.series(annotation["expr"], ""):
                for second, value in enumerate(values):
                    if not math.isnan(value):
                        axes.axvspan(second, second + 1, color="purple", alpha=0.07, linewidth=0)

    def state_timeline(self, axes: Axes, panel: dict, field: dict) -> None:
        (mapping,) = field["mappings"]
        (target,) = panel["targets"]
        series = self.series(target["expr"], target["legendFormat"])
        for row, (_, values) in enumerate(series):
            for second, value in enumerate(values):
                if not math.isnan(value):
                    # Black: a value without a name.
                    state = mapping["options"].get(f"{value:g}", {"color": "black"})
                    axes.barh(row, 1.0, left=second, height=0.8, color=color(state["color"]))
        axes.set_yticks(range(len(series)), [name for name, _ in series])
        self.time_axis(axes)

    def stat(self, axes: Axes, panel: dict, field: dict) -> None:
        (target,) = panel["targets"]
        series = self.series(target["expr"], target["legendFormat"])
        text = ", ".join(shown(last(values), field["unit"]) for _, values in series) or "no data"
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=16)
        for _, values in series:
            behind = axes.twinx()
            behind.fill_between([second / self.seconds for second in range(self.seconds + 1)], values, alpha=0.2)
            behind.set_axis_off()
        axes.set_axis_off()

    def bargauge(self, axes: Axes, panel: dict, field: dict) -> None:
        series = [one for target in panel["targets"] for one in self.series(target["expr"], target["legendFormat"])]
        for row, (name, values) in enumerate(series):
            axes.barh(row, last(values), height=0.7, color="lightsteelblue")
            axes.text(0, row, f" {name}: {shown(last(values), field['unit'])}", va="center", fontsize=7)
        axes.invert_yaxis()
        axes.set_yticks([])
        axes.tick_params(labelsize=6)

    def table(self, axes: Axes, panel: dict, field: dict) -> None:
        rows: dict[str, dict[str, str]] = {}
        organize = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
        for target in panel["targets"]:
            value_of = "Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}"
            for one in self.prometheus.get("query", query=filled_in(target["expr"], "20s"))["result"]:
                key = one["metric"].get("node") or str(sorted(one["metric"].items()))
                row = rows.setdefault(key, {})
                row |= one["metric"] | {value_of: shown(float(one["value"][1]), field["unit"])}
        hidden, names = organize["excludeByName"], organize.get("renameByName", {})
        columns = [name for name in dict.fromkeys(name for row in rows.values() for name in row) if not hidden.get(name)]
        cells = [[row.get(name, "") for name in columns] for row in rows.values()]
        axes.table(cells, colLabels=[names.get(name, name) for name in columns], loc="center")
        axes.set_axis_off()


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cluster = start_faulty_cluster(folder)
        began = time.time()
        (folder / "prometheus").mkdir()
        prometheus = Prometheus([node.url.removeprefix("http://") for node in cluster.nodes], folder / "prometheus").start()
        traffic = Traffic(cluster.url).start()
        try:
            time.sleep(BEFORE_SECONDS)
            victim = cluster.workers[-1]
            victim.kill()
            print(f"{victim.folder.name} was killed {time.time() - began:.0f} s after the start", flush=True)
            time.sleep(DOWN_SECONDS)
            victim.start()
            print(f"it was restarted after {time.time() - began:.0f} s", flush=True)
            time.sleep(AFTER_SECONDS)
            for name, dashboard in dashboards().items():
                Board(prometheus, dashboard, began).draw(out / f"{name}.png")
        finally:
            traffic.stop()
            prometheus.stop()
            cluster.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
