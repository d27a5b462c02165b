"""Reads the repository's dashboards, rules, and metric catalogue."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "dashboards" / "grafana" / "dashboards"
RULES = ROOT / "dashboards" / "prometheus" / "rules"
SUFFIXES = ("_bucket", "_sum", "_count")
# Labels that Prometheus adds to every series, and that histograms add.
ADDED_LABELS = {"node", "instance", "job", "le"}


@dataclass(frozen=True)
class Query:
    """One query of a dashboard or a rule."""

    source: str
    expression: str
    kind: str

    def __str__(self) -> str:
        return self.source


def catalogue() -> dict[str, set[str]]:
    """Every metric with its labels, from docs/metrics.md, which is generated from the code."""
    row = re.compile(r"^\| `(\w+)` \| (\w+)[^|]*\| [^|]*\| ([^|]*)\|")
    found = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        if match := row.match(line):
            name, kind, labels = match.groups()
            if kind in ("counter", "gauge", "histogram"):
                found[name] = set(re.findall(r"`(\w+)`", labels))
    return found


def panels(dashboard: dict) -> Iterator[dict]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def dashboards() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def dashboard_queries() -> Iterator[Query]:
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                yield Query(f"{name}/{panel['title']}/{target['refId']}", target["expr"], "panel")
        for annotation in dashboard["annotations"]["list"]:
            if "expr" in annotation:
                yield Query(f"{name}/annotation {annotation['name']}", annotation["expr"], "annotation")


def variable_queries() -> Iterator[Query]:
    for name, dashboard in dashboards().items():
        for variable in dashboard["templating"]["list"]:
            source = variable["query"]
            text = source if isinstance(source, str) else source["query"]
            yield Query(f"{name}/variable {variable['name']}", text, "variable")


def rule_queries() -> Iterator[Query]:
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                kind = "record" if "record" in rule else "alert"
                yield Query(f"{path.stem}/{rule[kind]}", rule["expr"], kind)


def recorded() -> set[str]:
    return {query.source.partition("/")[2] for query in rule_queries() if query.kind == "record"}


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(re.findall(r"\b(?:model:)?(?:hostler|process)_\w+(?::\w+)*|\bup\b", expression))


def base(name: str, known: dict[str, set[str]]) -> str:
    """The metric to which a series belongs, such as a histogram's `_bucket` series."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in known:
            return name.removesuffix(suffix)
    return name
