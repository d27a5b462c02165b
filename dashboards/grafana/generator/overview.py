"""Overview: what users of the models see."""

from .parts import (
    GREEN, MODEL, RED, SCHEDULER, YELLOW,
    board, chart, number, percentiles, quantile, query, rate,
)

ANSWERS = "hostler_gateway_requests_total"
FIRST_TOKEN = "hostler_gateway_time_to_first_token_seconds"
FAILURES = "overloaded|internal|engine_failed|unavailable|deadline_exceeded"


def build():
    failed = rate(ANSWERS, f'{MODEL}, outcome=~"{FAILURES}"')
    return board(
        "hostler-overview",
        "Hostler / Overview",
        "Requests, errors, latencies and tokens, as the clients of the gateways see them.",
        [
            number(
                "Requests", "Generation requests that ended, in every way.", query(rate(ANSWERS, MODEL), "requests"), "reqps"
            ),
            number(
                "Failures",
                "The share that failed and was not to blame: refused for want of room, timed out, or broken.",
                query(f"({failed} or vector(0)) / ({rate(ANSWERS, MODEL)} > 0)", "failures"),
                "percentunit",
                [(None, GREEN), (0.01, YELLOW), (0.05, RED)],
            ),
            number(
                "First token, p95",
                "95 % of the answers begin within this time. The objective is 1 s.",
                query(quantile(0.95, FIRST_TOKEN, MODEL), "p95"),
                "s",
                [(None, GREEN), (0.5, YELLOW), (1, RED)],
            ),
            number(
                "Tokens a second",
                "What schedulers generate.",
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER), "tokens/s"),
                "short",
            ),
            number(
                "Running",
                "Sequences in the engines now.",
                query(f"sum(hostler_scheduler_requests_running{{{SCHEDULER}}})", "running"),
            ),
            number(
                "Waiting",
                "Requests in the schedulers' queues now.",
                query(f"sum(hostler_scheduler_requests_waiting{{{SCHEDULER}}})", "waiting"),
                limits=[(None, GREEN), (8, YELLOW), (64, RED)],
            ),
            "Requests",
            chart(
                "Requests by outcome",
                "Each request once, as its client saw it end. Cancelled are those that the client gave up.",
                query(rate(ANSWERS, MODEL, "outcome"), "{{outcome}}"),
                unit="reqps",
                stacked=True,
            ),
            chart(
                "Requests by tenant",
                "By the name of the API key; those beyond the first hundred are together in `other`.",
                query(rate(ANSWERS, MODEL, "tenant"), "{{tenant}}"),
                unit="reqps",
                stacked=True,
            ),
            "Latency",
            chart(
                "Time to first token",
                "From a request's head until its first token was there, queue included.",
                *percentiles(FIRST_TOKEN, MODEL),
                unit="s",
                limits=[(None, "transparent"), (1, RED)],
                width=8,
            ),
            chart(
                "Gaps between tokens",
                "Every gap between two tokens of one answer, as the engine made them.",
                *percentiles("hostler_scheduler_inter_token_seconds", SCHEDULER),
                unit="s",
                limits=[(None, "transparent"), (0.15, RED)],
                width=8,
            ),
            chart(
                "Whole requests",
                "From a request's head until its last byte.",
                *percentiles("hostler_gateway_request_seconds", MODEL),
                unit="s",
                width=8,
            ),
            chart(
                "First token by priority, p95",
                "Interactive requests go first; batch has what is left.",
                query(quantile(0.95, FIRST_TOKEN, MODEL, "priority"), "{{priority}}"),
                unit="s",
            ),
            chart(
                "Objectives missed",
                "The share of first tokens later than 1 s, and of gaps longer than 150 ms, over 5 minutes. The budget is 5 %.",
                query(f"model:hostler_slow_first_token:ratio_rate5m{{{MODEL}}}", "first token, {{model}}"),
                query(f"model:hostler_slow_gap:ratio_rate5m{{{MODEL}}}", "gaps, {{model}}"),
                unit="percentunit",
                limits=[(None, "transparent"), (0.05, RED)],
            ),
            "Work",
            chart(
                "Tokens a second",
                "Prompt tokens that engines began to read, those of them found in the KV cache, and tokens generated.",
                query(rate("hostler_scheduler_prompt_tokens_total", SCHEDULER), "prompt"),
                query(rate("hostler_scheduler_cached_tokens_total", SCHEDULER), "cached"),
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER), "generated"),
                unit="short",
            ),
            chart(
                "Queue by priority",
                "Requests that wait for a place in a batch.",
                query(f"sum by (priority) (hostler_scheduler_requests_waiting{{{SCHEDULER}}})", "{{priority}}"),
                stacked=True,
            ),
            chart(
                "Length of prompts",
                "Tokens of the prompts of requests that ended.",
                *percentiles("hostler_scheduler_request_prompt_tokens", SCHEDULER),
                unit="short",
            ),
            chart(
                "Length of answers",
                "Tokens of the answers of requests that ended.",
                *percentiles("hostler_scheduler_request_generation_tokens", SCHEDULER),
                unit="short",
            ),
        ],
    )
