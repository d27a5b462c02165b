"""Router: the chosen schedulers, the reasons, and the handling of failures."""

from .parts import (
    BY_SCHEDULER, GREEN, MODEL, NAME, RED, ROUTER, YELLOW,
    board, chart, number, prefix_hits, query, rate, timeline,
)


def build():
    share = 'sum by (scheduler) (rate(hostler_router_requests_total{{{0}}}[$__rate_interval]))'.format(ROUTER)
    return board(
        "hostler-router",
        "Hostler / Router",
        "Routing decisions by reason, balance, prefix cache hits, retries, migrations and circuit breakers.",
        [
            number(
                "Decisions", "Requests that were assigned to a scheduler.",
                query(rate("hostler_router_requests_total", ROUTER), "decisions"), "reqps", width=6,
            ),
            number(
                "Largest share", "Share of the busiest selected scheduler. With n schedulers of one model, 1/n is balanced.",
                query(f"max({share}) / (sum({share}) > 0)", "share"), "percentunit", width=6,
            ),
            number(
                "Prefix cache hits", "Share of prompt tokens that the engines found in their KV cache.",
                query(prefix_hits(), "hits"), "percentunit", width=6,
            ),
            number(
                "Refused", "Requests that no scheduler accepted.",
                query(rate("hostler_router_refused_total", MODEL), "refused"), "reqps",
                [(None, GREEN), (0.1, YELLOW), (1, RED)], width=6,
            ),
            "Decisions",
            chart(
                "Decisions by reason", "The reason for the choice of the scheduler.",
                query(rate("hostler_router_decisions_total", MODEL, "reason"), "{{reason}}"), unit="reqps", stacked=True,
            ),
            chart(
                "Decisions by scheduler", "The chosen scheduler.", query(share, "{{scheduler}}"), unit="reqps", stacked=True,
            ),
            chart(
                "In flight", "Requests that the router has sent to a scheduler and that have not ended.",
                query(f"sum by (scheduler) (hostler_router_requests_in_flight{{{ROUTER}}})", "{{scheduler}}"),
                stacked=True,
            ),
            chart(
                "Prefix cache hits by scheduler", "Share of prompt tokens found in the KV cache.",
                query(prefix_hits(BY_SCHEDULER), NAME), unit="percentunit", top=1,
            ),
            "Faults",
            chart(
                "Retries", "Retries on another scheduler before the first token, by the error of the failed attempt; and retries that were denied because the budget was exhausted.",
                query(rate("hostler_router_retries_total", MODEL, "reason") + " > 0", "{{reason}}"),
                query(rate("hostler_router_retries_denied_total", MODEL), "denied"),
                unit="reqps", width=8,
            ),
            chart(
                "Migrations", "Answers whose scheduler failed after their first token, by outcome.",
                query(rate("hostler_router_migrations_total", MODEL, "outcome") + " > 0", "{{outcome}}"), unit="reqps", width=8,
            ),
            chart(
                "Refused by reason", "Requests that no scheduler accepted.",
                query(rate("hostler_router_refused_total", MODEL, "reason") + " > 0", "{{reason}}"), unit="reqps", stacked=True, width=8,
            ),
            timeline(
                "Circuit breakers", "The state of each scheduler's circuit breaker. Open: it gets no requests after failures.",
                query(f"max by (scheduler) (hostler_router_breaker_state{{{ROUTER}}})", "{{scheduler}}"),
                [("closed", "green"), ("half open", "yellow"), ("open", "red")],
            ),
        ],
    )
