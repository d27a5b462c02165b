"""Benchmarks: claims, the ladder, and runs side by side."""

from .parts import GREEN, RED, ROUTER, SCHEDULER, YELLOW, bars, board, chart, listing, number, query, rate, timeline

BENCHMARK = 'scheduler=~"$scheduler"'
RUNG = "{{scheduler}} {{rung}}"


def build():
    measured = f"hostler_benchmark_tokens_per_second{{{BENCHMARK}}}"
    # An engine on another machine cannot be asked alone: there the scheduler is the lowest.
    lowest = " or ignoring (rung) ".join(
        f'hostler_benchmark_tokens_per_second{{rung="{rung}", {BENCHMARK}}}' for rung in ("engine", "scheduler", "router")
    )
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
                query(f"sum(hostler_benchmark_runs_total)", "ended"), width=6,
            ),
            number(
                "Claims refused", "Claims that were asked for and not granted, over an hour.",
                query("sum(increase(hostler_router_claims_refused_total[1h]))", "refused"), width=6,
            ),
            number(
                "Time to empty, p95", "From a claim's grant until the scheduler had nothing of others any more.",
                query(
                    f"histogram_quantile(0.95, sum by (le) (hostler_router_claim_drain_seconds_bucket{{{ROUTER}}}))", "p95"
                ),
                "s", width=6,
            ),
            timeline(
                "Claims", "When each scheduler was claimed. The same times stand as annotations on all dashboards.",
                query(f'max by (scheduler) (hostler_scheduler_state{{state="claimed", {SCHEDULER}}})', "{{scheduler}}"),
                [("free", "green"), ("claimed", "purple")], height=6,
            ),
            "The ladder",
            bars(
                "Tokens a second, rung by rung",
                "The same work on the same scheduler, through more and more layers. What the last benchmark of each rung measured.",
                query(f"max by (scheduler, rung) ({measured})", RUNG), "short",
            ),
            bars(
                "Kept of the lowest rung's speed",
                "Each rung, divided by the engine alone, or by the lowest that could be asked. Two layers cost nothing worth naming while each keeps 98 % of the one below.",
                query(f"max by (scheduler, rung) ({measured} / on (scheduler) group_left () ({lowest}))", RUNG),
                "percentunit", [(None, RED), (0.9, YELLOW), (0.98, GREEN)],
            ),
            "Runs",
            chart(
                "Measured speed", "What benchmarks measured, as they ended: runs side by side.",
                query(f"max by (scheduler, rung) ({measured})", RUNG),
            ),
            chart(
                "Measured time to first token", "The median and the 95th percentile that benchmarks measured.",
                query(
                    f"max by (scheduler, rung, quantile) (hostler_benchmark_time_to_first_token_seconds{{{BENCHMARK}}})",
                    "{{scheduler}} {{rung}} {{quantile}}",
                ),
                unit="s",
            ),
            chart(
                "Live speed", "Tokens a second of every scheduler, benchmarks and live traffic alike.",
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER, "scheduler"), "{{scheduler}}"),
            ),
            chart(
                "Ended claims", "By outcome: released by their holder, or lost.",
                query("sum by (outcome) (increase(hostler_router_claims_total[5m]))", "{{outcome}}"), stacked=True,
            ),
            listing(
                "Benchmarks by outcome", "Since the gateways started.",
                query("sum by (profile, outcome) (hostler_benchmark_runs_total)", "", instant=True, as_table=True),
                height=6,
            ),
        ],
    )
