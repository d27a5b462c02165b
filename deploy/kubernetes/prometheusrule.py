"""Prints the recording and alert rules as a PrometheusRule for the Prometheus operator."""

from pathlib import Path

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus" / "rules"

print("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule")
print("metadata: {name: hostler, labels: {app.kubernetes.io/name: hostler}}\nspec:\n  groups:")
for path in sorted(RULES.glob("*.yml")):
    for line in path.read_text().partition("groups:\n")[2].splitlines():
        print(f"  {line}" if line else "")
