"""Checks dashboards and rules against the metric catalogue, without a server."""

import re
import subprocess

import pytest
import yaml

from repository import (
    ADDED_LABELS, DASHBOARDS, ROOT, RULES,
    base, catalogue, dashboard_queries, dashboards, metrics_in, panels, recorded, rule_queries, variable_queries,
)

ALL = [*dashboard_queries(), *variable_queries(), *rule_queries()]


def test_the_repository_has_dashboards_and_metrics():
    assert len(dashboards()) == 5
    assert len(ALL) > 80
    assert len(catalogue()) > 40


def test_committed_dashboards_are_what_the_generator_writes(tmp_path):
    import generate

    generate.write(tmp_path)
    written = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    committed = {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    assert written == committed, "run: python3 dashboards/generate.py"


@pytest.mark.parametrize("query", ALL, ids=str)
def test_a_query_names_what_the_catalogue_declares(query):
    known = catalogue()
    names = metrics_in(query.expression)
    assert names, "the query reads no metric"
    for name in names:
        assert name == "up" or name in recorded() or base(name, known) in known, f"{name} is not in the catalogue"


@pytest.mark.parametrize("query", ALL, ids=str)
def test_a_selection_names_labels_that_the_metric_has(query):
    known = catalogue()
    for name, selection in re.findall(r"\b((?:hostler|process)_\w+)\{([^}]*)\}", query.expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', selection)))
        assert labels <= known[base(name, known)] | ADDED_LABELS, f"{name} has no {labels}"


def test_every_panel_has_a_title_a_description_and_a_unit():
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            if panel["type"] == "row":
                continue
            assert panel.get("title") and panel.get("description"), f"{name}: {panel.get('title')}"
            assert panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"].get("unit"), (
                f"{name}: {panel['title']} has no unit"
            )


def test_rates_of_tokens_have_their_own_units():
    rates = 0
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            expressions = [target["expr"] for target in panel.get("targets", [])]
            of_tokens = [re.search(r"rate\(hostler_\w+_tokens_total|_tokens_per_second", each) for each in expressions]
            if not expressions or not all(of_tokens):
                continue
            unit = panel["fieldConfig"]["defaults"]["unit"]
            if not any("/" in each for each in expressions):
                assert unit == "suffix: tokens/s", f"{name}: {panel['title']} has the unit {unit}"
            elif any("joules" in each for each in expressions):
                assert unit == "suffix: tokens/J", f"{name}: {panel['title']} has the unit {unit}"
            rates += 1
    assert rates >= 7


def test_every_dashboard_has_the_variables_and_links_to_the_others():
    titles = [dashboard["title"] for dashboard in dashboards().values()]
    assert len(set(titles)) == 5
    for dashboard in dashboards().values():
        assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["model", "scheduler", "node"]
        (link,) = dashboard["links"]
        assert link["type"] == "dashboards" and set(link["tags"]) <= set(dashboard["tags"])
        assert link["includeVars"] and link["keepTime"]


def test_alert_rules_pass_their_tests():
    tests = sorted((ROOT / "dashboards" / "prometheus" / "tests").glob("*.yml"))
    done = subprocess.run(["promtool", "test", "rules", *tests], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_raised_in_a_test():
    raised = set()
    for path in (ROOT / "dashboards" / "prometheus" / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            raised |= {case["alertname"] for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    alerts = {
        rule["alert"]
        for path in RULES.glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert alerts and alerts == raised


def test_the_scrape_configuration_is_valid():
    config = ROOT / "dashboards" / "prometheus" / "prometheus.yml"
    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
