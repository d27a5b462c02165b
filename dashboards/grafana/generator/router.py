"""Router: who is chosen, why, and what happens when it was the wrong one."""

from .parts import (
    BY_SCHEDULER, GREEN, MODEL, NAME, RED, ROUTER, YELLOW,
    board, chart, number, prefix_hits, query, rate, timeline,
)


def build():
    share = 'sum by (scheduler) (rate(hostler_router_requests_total{{{0}}}[$__rate_interval]))'.format(ROUTER)
    return board(
        "hostler-router",
        "Hostler / Router",
        "Routing decisions by reason, balance, prefix hits, retries, migrations and breakers.",
        [
            number(
                "Decisions", "Requests that were given a scheduler.",
                query(rate("hostler_router_requests_total", ROUTER), "decisions"), "reqps", width=6,
            ),
            number(
                "Largest share", "The share of the busiest of the schedulers that are looked at. With n of one model, 1/n is balanced.",
                query(f"max({share}) / (sum({share}) > 0)", "share"), "percentunit", width=6,
            ),
            number(
                "Prefix hits", "The share of prompt tokens that engines found in their KV cache.",
                query(prefix_hits(), "hits"), "percentunit", width=6,
            ),
            number(
                "Refused", "Requests that no scheduler took.",
                query(rate("hostler_router_refused_total", MODEL), "refused"), "reqps",
                [(None, GREEN), (0.1, YELLOW), (1, RED)], width=6,
            ),
            "Decisions",
            chart(
                "Decisions by reason", "Why the scheduler was chosen.",
                query(rate("hostler_router_decisions_total", MODEL, "reason"), "{{reason}}"), unit="reqps", stacked=True,
            ),
            chart(
                "Decisions by scheduler", "Who was chosen.", query(share, "{{scheduler}}"), unit="reqps", stacked=True,
            ),
            chart(
                "In flight", "Requests that the router has sent and that have not ended.",
                query(f"sum by (scheduler) (hostler_router_requests_in_flight{{{ROUTER}}})", "{{scheduler}}"),
                stacked=True,
            ),
            chart(
                "Prefix hits by scheduler", "The share of prompt tokens found in the KV cache.",
                query(prefix_hits(BY_SCHEDULER), NAME), unit="percentunit", top=1,
            ),
            "Faults",
            chart(
                "Retries", "Requests sent to another scheduler before their first token, by the error of the one before; and those that were not, because the budget was spent.",
                query(rate("hostler_router_retries_total", MODEL, "reason") + " > 0", "{{reason}}"),
                query(rate("hostler_router_retries_denied_total", MODEL), "denied"),
                unit="reqps", width=8,
            ),
            chart(
                "Migrations", "Answers whose scheduler failed after their first token, by what became of them.",
                query(rate("hostler_router_migrations_total", MODEL, "outcome") + " > 0", "{{outcome}}"), unit="reqps", width=8,
            ),
            chart(
                "Refused by reason", "Requests that no scheduler took.",
                query(rate("hostler_router_refused_total", MODEL, "reason") + " > 0", "{{reason}}"), unit="reqps", stacked=True, width=8,
            ),
            timeline(
                "Breakers", "Whether requests go to a scheduler. Open: it is left alone after failures.",
                query(f"max by (scheduler) (hostler_router_breaker_state{{{ROUTER}}})", "{{scheduler}}"),
                [("closed", "green"), ("half open", "yellow"), ("open", "red")],
            ),
        ],
    )
