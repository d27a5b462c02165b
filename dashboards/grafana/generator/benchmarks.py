"""Benchmarks: claims, the ladder, and runs side by side."""

from .parts import (
    BY_SCHEDULER, GREEN, NAME, RED, ROUTED, ROUTER, SCHEDULER, YELLOW,
    bars, board, chart, listing, number, query, rate, timeline,
)

RUNG = "{{rung}}, {{scheduler}}"


def rungs(expression: str) -> list:
    """What `expression` says of each rung, from the bottom to the top; `%s` is the selection.
    One query alone would be answered in the order of the alphabet."""
    return [
        query(f"max by (scheduler, rung) ({expression % _rung(some)})", RUNG)
        for some in ("engine|grpc|scheduler", "router", "http|http-stream")
    ]


def _rung(some: str) -> str:
    return f'rung=~"{some}", {ROUTED}'


def build():
    speed = "hostler_benchmark_tokens_per_second"
    # An engine in another process cannot be asked alone: there the connection is the lowest.
    lowest = " or ignoring (rung) ".join(f"{speed}{{{_rung(rung)}}}" for rung in ("engine", "scheduler", "grpc", "router"))
    return board(
        "hostler-benchmarks",
        "Hostler / Benchmarks",
        "Who has which scheduler, what was measured on it, and what each layer costs.",
        [
            number(
                "Claims held", "Schedulers that somebody has for themselves now.",
                query(f"sum(hostler_router_claims_held{{{ROUTER}}})", "held"), width=6,
            ),
            number(
                "Benchmarks ended", "Since the gateways started, whatever their outcome.",
                query("sum(hostler_benchmark_runs_total)", "ended"), width=6,
            ),
            number(
                "Claims refused", "Claims that were asked for and not granted, over an hour.",
                query("sum(increase(hostler_router_claims_refused_total[1h]))", "refused"), width=6,
            ),
            number(
                "Time to empty, p95", "From a claim's grant until the scheduler had nothing of others any more; of all claims since the gateways started.",
                query(
                    f"histogram_quantile(0.95, sum by (le) (hostler_router_claim_drain_seconds_bucket{{{ROUTER}}}))", "p95"
                ),
                "s", width=6,
            ),
            timeline(
                "Claims", "When each scheduler was claimed. The same times stand as annotations on all dashboards.",
                query(f'max by ({BY_SCHEDULER}) (hostler_scheduler_state{{state="claimed", {SCHEDULER}}})', NAME),
                [("free", "green"), ("claimed", "purple")], height=6,
            ),
            "The ladder",
            bars(
                "Tokens a second, rung by rung",
                "The same work on the same scheduler, through more and more layers. What the last benchmark of each rung measured.",
                *rungs(f"{speed}{{%s}}"),
            ),
            bars(
                "Kept of the lowest rung's speed",
                "Each rung, divided by the engine alone, or by the lowest that could be asked. Two layers cost nothing worth naming while each keeps 98 % of the one below.",
                *rungs(f"{speed}{{%s}} / on (scheduler) group_left () ({lowest})"),
                unit="percentunit", limits=[(None, RED), (0.9, YELLOW), (0.98, GREEN)],
            ),
            "Runs",
            chart(
                "Measured speed", "What benchmarks measured, as they ended: runs side by side.",
                query(f"max by (scheduler, rung) ({speed}{{{ROUTED}}})", RUNG),
            ),
            chart(
                "Measured time to first token", "The median and the 95th percentile that benchmarks measured.",
                query(
                    f"max by (scheduler, rung, quantile) (hostler_benchmark_time_to_first_token_seconds{{{ROUTED}}})",
                    "{{rung}}, {{scheduler}}, {{quantile}}",
                ),
                unit="s",
            ),
            chart(
                "Live speed", "Tokens a second of every scheduler, benchmarks and live traffic alike.",
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER, BY_SCHEDULER), NAME),
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
