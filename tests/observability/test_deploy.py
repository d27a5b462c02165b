"""Validates the deployment files: manifests by Kubernetes' schemas, units by systemd, and the
configurations in them by the binary."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

from conftest import binary
from repository import ROOT, RULES

MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
# The API of the Prometheus operator, whose schemas are not among Kubernetes' own.
OPERATOR = "monitoring.coreos.com/v1"


def documents() -> list[tuple[str, dict]]:
    found = [(path.name, document) for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]
    return [(f"{name}/{document['kind']}", document) for name, document in found]


def as_the_operator_reads(document: dict) -> dict:
    """The document as the operator's schemas read it: the classes are generated from them.
    Unknown fields are dropped, and a wrong type is an error."""
    read = getattr(operator, document["kind"]).model_validate(document)
    return read.model_dump(mode="json", by_alias=True, exclude_unset=True)


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in documents()])
def test_a_manifest_is_valid(document: dict):
    if document["apiVersion"] == OPERATOR:
        assert as_the_operator_reads(document) == document
        return
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_each_selector_matches_one_workload():
    by_kind = {(document["kind"], document["metadata"]["name"]): document for _, document in documents()}
    pods = {
        name: document["spec"]["template"]["metadata"]["labels"]
        for (kind, name), document in by_kind.items()
        if kind in ("Deployment", "StatefulSet")
    }
    assert set(pods) == {"hostler-gateway", "hostler-worker"}
    for (kind, name), document in by_kind.items():
        if kind == "Service":
            wanted = document["spec"]["selector"]
        elif kind == "PodDisruptionBudget":
            wanted = document["spec"]["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            wanted = document["spec"]["podSelector"]["matchLabels"]
        else:
            continue
        assert sum(wanted.items() <= labels.items() for labels in pods.values()) == 1, f"{kind} {name}"


def test_the_operator_finds_a_port_of_every_service():
    (monitor,) = (document for _, document in documents() if document["kind"] == "ServiceMonitor")
    services = [document for _, document in documents() if document["kind"] == "Service"]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    ports = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
    assert len(services) == 2
    for service in services:
        assert wanted.items() <= service["metadata"]["labels"].items()
        assert ports <= {port["name"] for port in service["spec"]["ports"]}


def test_what_is_open_to_everyone_is_behind_a_network_policy_for_its_port():
    """The network admits to each pod whom the pod itself does not ask for a key."""
    all_of = [document for _, document in documents()]
    (configuration,) = (document for document in all_of if document["kind"] == "ConfigMap")
    policies = {document["metadata"]["name"]: document for document in all_of if document["kind"] == "NetworkPolicy"}
    for role, port in (("gateway", "http"), ("worker", "grpc")):
        assert "open_to_everyone = true" in configuration["data"][f"{role}.toml"]
        rules = policies[f"hostler-{role}"]["spec"]["ingress"]
        (rule,) = (rule for rule in rules if {"port": port} in rule["ports"])
        assert rule["from"], "without sources a rule admits everyone"


def test_compose_publishes_ports_on_this_machine_only():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_the_gateways_know_every_worker():
    by_kind = {document["kind"]: document for _, document in documents()}
    replicas = by_kind["StatefulSet"]["spec"]["replicas"]
    text = by_kind["ConfigMap"]["data"]["gateway.toml"]
    for index in range(replicas):
        assert f"http://hostler-worker-{index}.hostler-worker:7070" in text


@pytest.mark.parametrize("name", ["gateway.toml", "worker.toml"])
def test_a_configuration_in_a_manifest_is_valid(tmp_path: Path, name: str):
    (configuration,) = (document for _, document in documents() if document["kind"] == "ConfigMap")
    path = tmp_path / name
    path.write_text(configuration["data"][name])
    # Every binary has the simulated engine.
    environment = {**os.environ, "HOSTLER_SCHEDULER__ENGINE": "simulated"}
    command = [binary(), "config", "check", "--config", path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rules_become_a_manifest_of_the_operator():
    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "kubernetes" / "prometheusrule.py"], capture_output=True, text=True
    )
    manifest = yaml.safe_load(done.stdout)
    assert manifest["apiVersion"] == OPERATOR
    assert as_the_operator_reads(manifest) == manifest
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    assert manifest["spec"]["groups"] == groups


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_valid(tmp_path: Path, unit: Path):
    """Verifies a copy of the unit that names an existing binary, since Hostler's may not be
    installed."""
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/local/bin/hostler", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    problems = [line for line in done.stderr.splitlines() if unit.name in line and "hostler" in line]
    assert not problems, done.stderr
