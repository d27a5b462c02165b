//! Every metric that Hostler exports.

use crate::metric::{Kind, Metric, buckets};

/// Labels of the metrics of a scheduler.
const SCHEDULER: &[&str] = &["model", "scheduler"];

/// Labels of the metrics of a GPU: the scheduler whose engine uses it, and the driver's index
/// or UUID.
const GPU: &[&str] = &["model", "scheduler", "gpu"];

/// Declares the metrics as constants, and lists them in [`ALL`].
macro_rules! catalogue {
    ($($name:ident = $metric:literal, $kind:expr, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric = Metric { name: $metric, kind: $kind, labels: $labels, help: $help };
        )*

        /// All metrics, in the order of this file.
        pub const ALL: &[&Metric] = &[$(&$name),*];
    };
}

catalogue! {
    RUNNING = "hostler_scheduler_requests_running", Kind::Gauge, SCHEDULER,
        "Sequences in flight in the engine.";
    WAITING = "hostler_scheduler_requests_waiting", Kind::Gauge, &["model", "scheduler", "priority"],
        "Requests in the scheduler's queue.";
    STATE = "hostler_scheduler_state", Kind::Gauge, &["model", "scheduler", "state"],
        "1 for the current state of the scheduler, 0 for all other states.";
    KV_RESERVED = "hostler_scheduler_kv_reserved_tokens", Kind::Gauge, SCHEDULER,
        "KV cache tokens (prompt plus max_tokens) reserved by the sequences in flight.";
    KV_CAPACITY = "hostler_scheduler_kv_capacity_tokens", Kind::Gauge, SCHEDULER,
        "Capacity of the engine's KV cache in tokens.";
    BATCH_OCCUPANCY = "hostler_scheduler_batch_occupancy_ratio", Kind::Gauge, SCHEDULER,
        "Sequences in flight, divided by the maximum.";
    ESTIMATED_WAIT = "hostler_scheduler_estimated_wait_seconds", Kind::Gauge, SCHEDULER,
        "Estimated time in the queue for a request that arrives now.";
    RESTARTS = "hostler_scheduler_restarts_total", Kind::Counter, SCHEDULER,
        "Restarts of the engine after a failure.";
    REQUESTS = "hostler_scheduler_requests_total", Kind::Counter, &["model", "scheduler", "outcome"],
        "Requests that have ended, by outcome: stop, length, or an error code.";
    PROMPT_TOKENS = "hostler_scheduler_prompt_tokens_total", Kind::Counter, SCHEDULER,
        "Prompt tokens of requests that the engine started.";
    CACHED_TOKENS = "hostler_scheduler_cached_tokens_total", Kind::Counter, SCHEDULER,
        "Prompt tokens found in the KV cache.";
    GENERATION_TOKENS = "hostler_scheduler_generation_tokens_total", Kind::Counter, SCHEDULER,
        "Generated tokens.";
    QUEUE_SECONDS = "hostler_scheduler_queue_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "Time from a request's submission to the scheduler until the engine starts it.";
    PREFILL_SECONDS = "hostler_scheduler_prefill_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "Time from the engine's start of a request until its first token.";
    DECODE_SECONDS = "hostler_scheduler_decode_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), SCHEDULER,
        "Time from a request's first token until its end.";
    TIME_TO_FIRST_TOKEN = "hostler_scheduler_time_to_first_token_seconds",
        Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "Time from a request's submission to the scheduler until its first token.";
    INTER_TOKEN = "hostler_scheduler_inter_token_seconds", Kind::Histogram(buckets::INTER_TOKEN_SECONDS), SCHEDULER,
        "Time between consecutive tokens of a sequence.";
    TIME_PER_OUTPUT_TOKEN = "hostler_scheduler_time_per_output_token_seconds",
        Kind::Histogram(buckets::INTER_TOKEN_SECONDS), SCHEDULER,
        "A request's decode time, divided by the number of its tokens after the first.";
    E2E_SECONDS = "hostler_scheduler_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), SCHEDULER,
        "Time from a request's submission to the scheduler until its end.";
    REQUEST_PROMPT_TOKENS = "hostler_scheduler_request_prompt_tokens", Kind::Histogram(buckets::TOKENS), SCHEDULER,
        "Prompt tokens of a request.";
    REQUEST_GENERATION_TOKENS = "hostler_scheduler_request_generation_tokens", Kind::Histogram(buckets::TOKENS), SCHEDULER,
        "Generated tokens of a request.";
    GPU_MEMORY_USED = "hostler_gpu_memory_used_bytes", Kind::Gauge, GPU,
        "Memory of the scheduler's GPU in use by all processes.";
    GPU_MEMORY_TOTAL = "hostler_gpu_memory_total_bytes", Kind::Gauge, GPU,
        "Memory of the scheduler's GPU.";
    GPU_UTILIZATION = "hostler_gpu_utilization_ratio", Kind::Gauge, GPU,
        "Share of the driver's last sampling period in which a kernel ran on the scheduler's GPU.";
    GPU_POWER = "hostler_gpu_power_watts", Kind::Gauge, GPU,
        "Power draw of the scheduler's GPU.";
    GPU_TEMPERATURE = "hostler_gpu_temperature_celsius", Kind::Gauge, GPU,
        "Temperature of the scheduler's GPU.";
    GPU_ENERGY = "hostler_gpu_energy_joules_total", Kind::Counter, GPU,
        "Energy that the scheduler's GPU has used since the driver was loaded.";
    ROUTED = "hostler_router_requests_total", Kind::Counter, &["model", "scheduler", "policy"],
        "Routing decisions, by the chosen scheduler.";
    ROUTER_IN_FLIGHT = "hostler_router_requests_in_flight", Kind::Gauge, SCHEDULER,
        "Requests that the router has sent to the scheduler and that have not ended.";
    ROUTER_RETRIES = "hostler_router_retries_total", Kind::Counter, &["model", "reason"],
        "Retries on another scheduler before the first token, by the error code of the failed attempt.";
    ROUTER_RETRIES_DENIED = "hostler_router_retries_denied_total", Kind::Counter, &["model"],
        "Requests that were not retried because the retry budget was exhausted.";
    ROUTER_DECISIONS = "hostler_router_decisions_total", Kind::Counter, &["model", "reason"],
        "Routing decisions, by the reason for the choice.";
    ROUTER_SHADOW = "hostler_router_shadow_requests_total", Kind::Counter, &["model", "scheduler", "policy"],
        "Requests that the shadow policy would have sent to the scheduler.";
    ROUTER_SHADOW_DECISIONS = "hostler_router_shadow_decisions_total", Kind::Counter, &["model", "outcome"],
        "Decisions of the shadow policy, by whether it would have chosen the same scheduler: same, different.";
    ROUTER_MIGRATIONS = "hostler_router_migrations_total", Kind::Counter, &["model", "outcome"],
        "Answers whose scheduler failed, by outcome: moved, completed, nobody_left, deadline_passed, cancelled.";
    ROUTER_BREAKER = "hostler_router_breaker_state", Kind::Gauge, SCHEDULER,
        "State of the scheduler's circuit breaker: 0 closed, 1 half-open (one trial request), 2 open after failures.";
    ROUTER_REFUSED = "hostler_router_refused_total", Kind::Counter, &["model", "reason"],
        "Requests that no scheduler accepted, by error code.";
    CLAIMS_HELD = "hostler_router_claims_held", Kind::Gauge, SCHEDULER,
        "Active claims of this router.";
    CLAIMS = "hostler_router_claims_total", Kind::Counter, &["scheduler", "outcome"],
        "Claims that have ended, by outcome: released by their holder, lost (the claim expired or the engine failed), or yielded (the model needed the scheduler).";
    CLAIMS_REFUSED = "hostler_router_claims_refused_total", Kind::Counter, &["reason"],
        "Claim requests that were refused, by error code.";
    CLAIM_DRAIN_SECONDS = "hostler_router_claim_drain_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "Time from a claim's grant until the requests of other clients on the scheduler have ended.";
    BENCHMARKS = "hostler_benchmark_runs_total", Kind::Counter, &["profile", "outcome"],
        "Benchmarks that have ended, by outcome: done, failed, cancelled.";
    BENCHMARK_TOKENS = "hostler_benchmark_tokens_per_second", Kind::Gauge, &["scheduler", "rung"],
        "Output tokens per second in the last benchmark of a scheduler, by the measured layer (rung).";
    BENCHMARK_FIRST_TOKEN = "hostler_benchmark_time_to_first_token_seconds", Kind::Gauge, &["scheduler", "rung", "quantile"],
        "Time to first token in the last benchmark of a scheduler: the median and the 95th percentile.";
    HTTP_REQUESTS = "hostler_http_requests_total", Kind::Counter, &["route", "status"],
        "HTTP requests that were answered.";
    HTTP_IN_FLIGHT = "hostler_http_requests_in_flight", Kind::Gauge, &[],
        "HTTP requests in flight.";
    HTTP_SECONDS = "hostler_http_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), &["route"],
        "Time from an HTTP request's head until the last byte of the response was written to the connection.";
    HTTP_DISCONNECTS = "hostler_http_disconnects_total", Kind::Counter, &["route"],
        "Requests whose client disconnected before the response was complete.";
    HTTP_IGNORED_FIELDS = "hostler_http_ignored_fields_total", Kind::Counter, &["route"],
        "Unknown fields of request bodies that were ignored.";
    ANSWERS = "hostler_gateway_requests_total", Kind::Counter, &["model", "tenant", "priority", "outcome"],
        "Generation requests that have ended, by the outcome that the client saw: success, cancelled (by the client or by its disconnect), or another error code. Retries and migrations are not counted.";
    ANSWER_PROMPT_TOKENS = "hostler_gateway_prompt_tokens_total", Kind::Counter, &["model", "tenant"],
        "Prompt tokens of requests that a scheduler accepted; a prompt counts once, regardless of its number of answers.";
    ANSWER_TOKENS = "hostler_gateway_generation_tokens_total", Kind::Counter, &["model", "tenant"],
        "Generated tokens that the gateway received for its clients.";
    ANSWER_FIRST_TOKEN = "hostler_gateway_time_to_first_token_seconds",
        Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), &["model", "priority"],
        "Time from a generation request's head until its first token was ready for the client.";
    ANSWER_SECONDS = "hostler_gateway_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), &["model", "priority"],
        "Time from a generation request's head until the last byte was written to the connection, or the client disconnected.";
    BUILD_INFO = "hostler_build_info", Kind::Gauge, &["version", "commit"],
        "Always 1; the labels identify the build. The commit is `unknown` if the build did not set it.";
    PROCESS_CPU = "process_cpu_seconds_total", Kind::Counter, &[],
        "User and system CPU time of the process.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Kind::Gauge, &[],
        "Resident memory of the process.";
    PROCESS_FDS = "process_open_fds", Kind::Gauge, &[],
        "Open file descriptors.";
    PROCESS_FDS_MAX = "process_max_fds", Kind::Gauge, &[],
        "Limit of open file descriptors.";
    PROCESS_THREADS = "process_threads", Kind::Gauge, &[],
        "Threads of the process.";
    PROCESS_START = "process_start_time_seconds", Kind::Gauge, &[],
        "Start time of the process in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            // Metrics of the process have the names that Prometheus clients use.
            let ours = metric.name.starts_with("hostler_") || metric.name.starts_with("process_");
            assert!(ours, "{}", metric.name);
            assert!(!metric.labels.contains(&"node"), "{}: the exporter adds the label node", metric.name);
            match metric.kind {
                Kind::Counter => assert!(metric.name.ends_with("_total"), "{}", metric.name),
                Kind::Histogram(bounds) => {
                    assert!(bounds.is_sorted(), "{}", metric.name);
                    assert!(metric.name.ends_with("_seconds") || metric.name.ends_with("_tokens"), "{}", metric.name);
                }
                Kind::Gauge => {}
            }
        }
    }
}
