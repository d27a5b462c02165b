"""The dashboards, as code: `python3 dashboards/generate.py` writes them."""
