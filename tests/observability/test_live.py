"""Every query of dashboards and rules returns data from a cluster under load."""

import re
import time

import pytest

from repository import Query, dashboard_queries, dashboards, panels, rule_queries, variable_queries

# Some data exist only after a fault has happened.
DATA_SECONDS = 90
WINDOW_SECONDS = 60


def filled_in(expression: str) -> str:
    """The query as Grafana sends it with all values selected."""
    return re.sub(r"\$(model|scheduler|node)\b", ".*", expression.replace("$__rate_interval", "20s"))


def without_thresholds(expression: str) -> str:
    """The expression of an alert without its thresholds."""
    return re.sub(r"\s*(?:>|<|==)\s*[\d.]+(?:\s*\*\s*[\d.]+)?", "", expression)


def wait_for(query, what: str):
    deadline = time.monotonic() + DATA_SECONDS
    while True:
        found = query()
        if found:
            return found
        assert time.monotonic() < deadline, f"no data: {what}"
        time.sleep(0.5)


@pytest.mark.parametrize("query", list(dashboard_queries()), ids=str)
def test_a_panel_has_data(prometheus, query: Query):
    expression = filled_in(query.expression)
    wait_for(lambda: prometheus.range(expression, WINDOW_SECONDS), expression)


@pytest.mark.parametrize("query", list(variable_queries()), ids=str)
def test_a_variable_has_values(prometheus, query: Query):
    source, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query.expression).groups()
    wait_for(lambda: prometheus.get(f"label/{label}/values", **{"match[]": filled_in(source)}), query.expression)


@pytest.mark.parametrize("query", list(rule_queries()), ids=str)
def test_a_rule_has_data(prometheus, query: Query):
    expression = without_thresholds(query.expression) if query.kind == "alert" else query.expression
    wait_for(lambda: prometheus.range(expression, WINDOW_SECONDS), expression)


def test_every_rule_is_evaluated_without_an_error(prometheus):
    def evaluated():
        groups = prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else None

    assert len(wait_for(evaluated, "every rule is healthy")) == len(list(rule_queries()))


def test_a_restart_loop_raises_its_alert(prometheus):
    def raised():
        alerts = prometheus.get("alerts")["alerts"]
        return [alert for alert in alerts if alert["labels"]["alertname"] == "HostlerRestartLoop"]

    (alert, *_) = wait_for(raised, "the alert for the failing engines")
    assert "flaky" in alert["labels"]["scheduler"]


def test_a_scheduler_has_its_node_as_a_label(prometheus):
    """Schedulers of different workers can have the same name."""

    def named():
        series = prometheus.get("query", query="group by (node, scheduler) (hostler_scheduler_state)")["result"]
        names = {(one["metric"]["node"], one["metric"]["scheduler"]) for one in series}
        return names if len(names) >= 4 else None

    expected = {(node, name) for node in ("worker-1", "worker-2") for name in ("steady", "flaky")}
    assert wait_for(named, "the state of four schedulers") == expected


def test_the_state_panel_names_each_state(prometheus):
    (panel,) = (panel for panel in panels(dashboards()["schedulers"]) if panel["title"] == "State")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    (target,) = panel["targets"]

    def states() -> set[str]:
        shown = prometheus.range(filled_in(target["expr"]), WINDOW_SECONDS)
        return {mapping["options"][value]["text"] for one in shown for _, value in one["values"]}

    # The traffic claims schedulers repeatedly, and some engines fail.
    wait_for(lambda: states() >= {"serving", "claimed", "failed"}, "the states of a cluster under load")
