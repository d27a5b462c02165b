"""Every query against a cluster under load: each is answered, with data."""

import re
import time

import pytest

from repository import Query, dashboard_queries, dashboards, panels, rule_queries, variable_queries

# Data that need a fault come when the fault does.
DATA_SECONDS = 90
WINDOW_SECONDS = 60


def filled_in(expression: str) -> str:
    """As Grafana sends it, with everything selected."""
    return re.sub(r"\$(model|scheduler|node)\b", ".*", expression.replace("$__rate_interval", "20s"))


def without_limits(expression: str) -> str:
    """What an alert looks at, without the limits beyond which it is raised."""
    return re.sub(r"\s*(?:>|<|==)\s*[\d.]+(?:\s*\*\s*[\d.]+)?", "", expression)


def awaited(look, what: str):
    deadline = time.monotonic() + DATA_SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"no data: {what}"
        time.sleep(0.5)


@pytest.mark.parametrize("query", list(dashboard_queries()), ids=str)
def test_a_panel_has_data(prometheus, query: Query):
    expression = filled_in(query.expression)
    awaited(lambda: prometheus.range(expression, WINDOW_SECONDS), expression)


@pytest.mark.parametrize("query", list(variable_queries()), ids=str)
def test_a_variable_has_values(prometheus, query: Query):
    source, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query.expression).groups()
    awaited(lambda: prometheus.get(f"label/{label}/values", **{"match[]": filled_in(source)}), query.expression)


@pytest.mark.parametrize("query", list(rule_queries()), ids=str)
def test_a_rule_has_data(prometheus, query: Query):
    expression = without_limits(query.expression) if query.kind == "alert" else query.expression
    awaited(lambda: prometheus.range(expression, WINDOW_SECONDS), expression)


def test_every_rule_is_evaluated_without_an_error(prometheus):
    def evaluated():
        groups = prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else None

    assert len(awaited(evaluated, "every rule is healthy")) == len(list(rule_queries()))


def test_a_restart_loop_raises_its_alert(prometheus):
    def raised():
        alerts = prometheus.get("alerts")["alerts"]
        return [alert for alert in alerts if alert["labels"]["alertname"] == "HostlerRestartLoop"]

    (alert, *_) = awaited(raised, "the alert of the engines that break")
    assert "flaky" in alert["labels"]["scheduler"]


def test_a_scheduler_is_named_with_its_node(prometheus):
    """Schedulers of several workers have the same names, and often processes of their own."""

    def named():
        series = prometheus.get("query", query="group by (node, scheduler) (hostler_scheduler_state)")["result"]
        names = {(one["metric"]["node"], one["metric"]["scheduler"]) for one in series}
        return names if len(names) >= 4 else None

    expected = {(node, name) for node in ("worker-1", "worker-2") for name in ("steady", "flaky")}
    assert awaited(named, "the state of four schedulers") == expected


def test_the_state_of_each_scheduler_is_shown_by_its_name(prometheus):
    (panel,) = (panel for panel in panels(dashboards()["schedulers"]) if panel["title"] == "State")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    (target,) = panel["targets"]

    def states() -> set[str]:
        shown = prometheus.range(filled_in(target["expr"]), WINDOW_SECONDS)
        return {mapping["options"][value]["text"] for one in shown for _, value in one["values"]}

    # The traffic claims schedulers again and again, and some engines break.
    awaited(lambda: states() >= {"serving", "claimed", "failed"}, "the states of a cluster under load")
