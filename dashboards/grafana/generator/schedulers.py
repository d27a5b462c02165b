"""Schedulers: the state, load and latency of each engine."""

from .parts import (
    BY_SCHEDULER, NAME, RATE, RED, SCHEDULER, TOKENS_PER_JOULE, TOKENS_PER_SECOND, YELLOW,
    board, chart, percentiles, query, rate, timeline,
)

# In the order of SchedulerState::ALL.
STATES = [
    ("starting", "blue"),
    ("serving", "green"),
    ("draining", "yellow"),
    ("claimed", "purple"),
    ("failed", "red"),
    ("stopped", "dark-red"),
]


def state_number() -> str:
    """The state as its index in STATES."""
    one = 'max by ({}) (hostler_scheduler_state{{state="{}", {}}}) * {}'
    return " + ".join(one.format(BY_SCHEDULER, name, SCHEDULER, place) for place, (name, _) in enumerate(STATES))


def build():
    mean = "sum(rate({0}_sum{{{1}}}[{2}])) / (sum(rate({0}_count{{{1}}}[{2}])) > 0)"
    return board(
        "hostler-schedulers",
        "Hostler / Schedulers",
        "The state of every scheduler, the load of its batch, queue and KV cache, and the latency of requests by phase.",
        [
            timeline(
                "State", "The state of each scheduler. Purple: a claim holds it.",
                query(state_number(), NAME), STATES,
            ),
            "Batch and queue",
            chart(
                "Batch occupancy",
                "Sequences in flight, divided by the maximum.",
                query(f"max by ({BY_SCHEDULER}) (hostler_scheduler_batch_occupancy_ratio{{{SCHEDULER}}})", NAME),
                unit="percentunit", top=1, width=8,
            ),
            chart(
                "Running",
                "Sequences in flight.",
                query(f"sum by ({BY_SCHEDULER}) (hostler_scheduler_requests_running{{{SCHEDULER}}})", NAME),
                stacked=True, width=8,
            ),
            chart(
                "Waiting",
                "Requests in the queue.",
                query(f"sum by ({BY_SCHEDULER}) (hostler_scheduler_requests_waiting{{{SCHEDULER}}})", NAME),
                stacked=True, width=8,
            ),
            chart(
                "KV cache reserved",
                "Tokens reserved by running sequences, divided by the capacity. If it is full while requests wait, the cache limits the batch.",
                query(
                    f"max by ({BY_SCHEDULER}) (hostler_scheduler_kv_reserved_tokens{{{SCHEDULER}}} "
                    f"/ (hostler_scheduler_kv_capacity_tokens{{{SCHEDULER}}} > 0))",
                    NAME,
                ),
                unit="percentunit", top=1, limits=[(None, "transparent"), (0.9, YELLOW)],
            ),
            chart(
                "Estimated wait",
                "Estimated time in the queue for a request that arrives now, computed from the measured rate.",
                query(f"max by ({BY_SCHEDULER}) (hostler_scheduler_estimated_wait_seconds{{{SCHEDULER}}})", NAME),
                unit="s",
            ),
            "Time",
            chart(
                "Latency by phase",
                "Mean durations of the three phases of a request; their sum is its duration at the scheduler.",
                query(mean.format("hostler_scheduler_queue_seconds", SCHEDULER, RATE), "queue"),
                query(mean.format("hostler_scheduler_prefill_seconds", SCHEDULER, RATE), "prefill"),
                query(mean.format("hostler_scheduler_decode_seconds", SCHEDULER, RATE), "decode"),
                unit="s", stacked=True, width=8,
            ),
            chart(
                "Time in the queue", "From submission until the engine starts the request.",
                *percentiles("hostler_scheduler_queue_seconds", SCHEDULER), unit="s", width=8,
            ),
            chart(
                "Prefill", "From the engine's start of a request until its first token.",
                *percentiles("hostler_scheduler_prefill_seconds", SCHEDULER), unit="s", width=8,
            ),
            chart(
                "Decode", "From the first token until the end.",
                *percentiles("hostler_scheduler_decode_seconds", SCHEDULER), unit="s", width=8,
            ),
            chart(
                "Time per output token", "A request's decode time, divided by the number of its tokens after the first.",
                *percentiles("hostler_scheduler_time_per_output_token_seconds", SCHEDULER), unit="s", width=8,
            ),
            chart(
                "First token and whole requests, p95", "As measured by the schedulers, each attempt once.",
                percentiles("hostler_scheduler_time_to_first_token_seconds", SCHEDULER)[1].legend_format("first token"),
                percentiles("hostler_scheduler_request_seconds", SCHEDULER)[1].legend_format("whole request"),
                unit="s", width=8,
            ),
            "GPU",
            chart(
                "GPU memory", "Memory of each scheduler's GPU in use by all processes, divided by its memory.",
                query(
                    f"max by ({BY_SCHEDULER}) (hostler_gpu_memory_used_bytes{{{SCHEDULER}}} "
                    f"/ hostler_gpu_memory_total_bytes{{{SCHEDULER}}})",
                    NAME,
                ),
                unit="percentunit", top=1, limits=[(None, "transparent"), (0.98, YELLOW)],
            ),
            chart(
                "GPU utilisation", "Share of the driver's sampling period (up to 1 s) in which a kernel ran.",
                query(f"max by ({BY_SCHEDULER}) (hostler_gpu_utilization_ratio{{{SCHEDULER}}})", NAME),
                unit="percentunit", top=1,
            ),
            chart(
                "GPU power", "Power draw of each scheduler's GPU.",
                query(f"max by ({BY_SCHEDULER}) (hostler_gpu_power_watts{{{SCHEDULER}}})", NAME),
                unit="watt", width=8,
            ),
            chart(
                "GPU temperature", "Temperature of each scheduler's GPU.",
                query(f"max by ({BY_SCHEDULER}) (hostler_gpu_temperature_celsius{{{SCHEDULER}}})", NAME),
                unit="celsius", width=8,
            ),
            chart(
                "Tokens per joule",
                "Generated tokens, divided by the energy of the scheduler's GPU. Several schedulers on one GPU divide its energy more than once.",
                query(
                    f"sum by ({BY_SCHEDULER}) (rate(hostler_scheduler_generation_tokens_total{{{SCHEDULER}}}[{RATE}])) "
                    f"/ (max by ({BY_SCHEDULER}) (rate(hostler_gpu_energy_joules_total{{{SCHEDULER}}}[{RATE}])) > 0)",
                    NAME,
                ),
                unit=TOKENS_PER_JOULE, width=8,
            ),
            "Ends",
            chart(
                "Tokens generated", "By scheduler.",
                query(rate("hostler_scheduler_generation_tokens_total", SCHEDULER, BY_SCHEDULER), NAME),
                unit=TOKENS_PER_SECOND, stacked=True, width=8,
            ),
            chart(
                "Requests by outcome", "Each attempt once: stop and length are complete answers, the others are error codes.",
                query(rate("hostler_scheduler_requests_total", SCHEDULER, "outcome") + " > 0", "{{outcome}}"),
                unit="reqps", stacked=True, width=8,
            ),
            chart(
                "Restarts", "Restarts of engines after a failure, over 10 minutes.",
                query(f"sum by ({BY_SCHEDULER}) (increase(hostler_scheduler_restarts_total{{{SCHEDULER}}}[10m]))", NAME),
                limits=[(None, "transparent"), (3, RED)], width=8,
            ),
        ],
    )
