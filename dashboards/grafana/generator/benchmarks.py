"""Benchmarks: claims, the ladder, and comparison of runs."""

from .parts import (
    BY_SCHEDULER, GREEN, NAME, RED, ROUTED, ROUTER, SCHEDULER, TOKENS_PER_SECOND, YELLOW,
    bars, board, chart, listing, number, query, rate, timeline,
)

RUNG = "{{rung}}, {{scheduler}}"


def rungs(expression: str) -> list:
    """Queries of `expression` for each rung, from bottom to top; `%s` is the selection. A
    single query would return the rungs in alphabetical order."""
    return [
        query(f"max by (scheduler, rung) ({expression % _rung(some)})", RUNG)
        for some in ("engine|grpc|scheduler", "router", "http|http-stream")
    ]


def _rung(some: str) -> str:
    return f'rung=~"{some}", {ROUTED}'


def build():
    speed = "hostler_benchmark_tokens_per_second"
    # An engine in another process cannot be measured alone: there, grpc is the lowest rung.
    lowest = " or ignoring (rung) ".join(f"{speed}{{{_rung(rung)}}}" for rung in ("engine", "scheduler", "grpc", "router"))
    return board(
        "hostler-benchmarks",
        "Hostler / Benchmarks",
        "The claims of schedulers, the results of benchmarks, and the cost of each layer.",
        [
            number(
                "Claims held", "Schedulers that are currently claimed.",
                query(f"sum(hostler_router_claims_held{{{ROUTER}}})", "held"), width=6,
            ),
            number(
                "Benchmarks ended", "Since the gateways started, with any outcome.",
                query("sum(hostler_benchmark_runs_total)", "ended"), width=6,
            ),
            number(
                "Claims refused", "Claim requests that were refused, over an hour.",
                query("sum(increase(hostler_router_claims_refused_total[1h]))", "refused"), width=6,
            ),
            number(
                "Drain time, p95", "From a claim's grant until the requests of other clients on the scheduler have ended; all claims since the gateways started.",
                query(
                    f"histogram_quantile(0.95, sum by (le) (hostler_router_claim_drain_seconds_bucket{{{ROUTER}}}))", "p95"
                ),
                "s", width=6,
            ),
            timeline(
                "Claims", "When each scheduler was claimed. All dashboards show the same times as annotations.",
                query(f'max by ({BY_SCHEDULER}) (hostler_scheduler_state{{state="claimed", {SCHEDULER}}})', NAME),
                [("free", "green"), ("claimed", "purple")], height=6,
            ),
            "The ladder",
            bars(
                "Tokens per second by rung",
                "The same workload on the same scheduler, through an increasing number of layers, as measured by the last benchmark of each rung.",
                *rungs(f"{speed}{{%s}}"), unit=TOKENS_PER_SECOND,
            ),
            bars(
                "Ratio to the lowest rung",
                "The rate of each rung, divided by that of the engine alone, or of the lowest measured rung. The objective of each layer is 98 % of the one below.",
                *rungs(f"{speed}{{%s}} / on (scheduler) group_left () ({lowest})"),
                unit="percentunit", limits=[(None, RED), (0.9, YELLOW), (0.98, GREEN)],
            ),
            "Runs",
            chart(
                "Measured speed", "The results of benchmarks at the time when they ended, for comparison of runs.",
                query(f"max by (scheduler, rung) ({speed}{{{ROUTED}}})", RUNG), unit=TOKENS_PER_SECOND,
            ),
            chart(
                "Measured time to first token", "The median and the 95th percentile in the results of benchmarks.",
                query(
                    f"max by (scheduler, rung, quantile) (hostler_benchmark_time_to_first_token_seconds{{{ROUTED}}})",
                    "{{rung}}, {{scheduler}}, {{quantile}}",
                ),
                unit="s",
            ),
            chart(
                "Live speed", "Tokens per second of every scheduler, from benchmarks and live traffic.",
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER, BY_SCHEDULER), NAME), unit=TOKENS_PER_SECOND,
            ),
            chart(
                "Ended claims", "Over 5 minutes, by outcome: released by their holder, or lost.",
                query("sum by (outcome) (increase(hostler_router_claims_total[5m])) > 0", "{{outcome}}"), stacked=True,
            ),
            listing(
                "Benchmarks by outcome", "Since the gateways started.",
                query("sum by (profile, outcome) (hostler_benchmark_runs_total)", "", instant=True, as_table=True),
                names={"Value": "benchmarks"}, height=6,
            ),
        ],
    )
