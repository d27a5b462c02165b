//! Every metric that Hostler exports.

use crate::buckets;
use crate::metric::{Kind, Metric};

/// Labels of whatever belongs to one scheduler.
const SCHEDULER: &[&str] = &["model", "scheduler"];

/// Declares the metrics as constants, and lists them in [`ALL`].
macro_rules! catalogue {
    ($($name:ident = $metric:literal, $kind:expr, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric = Metric { name: $metric, kind: $kind, labels: $labels, help: $help };
        )*

        /// All of them, in the order of this file.
        pub const ALL: &[&Metric] = &[$(&$name),*];
    };
}

catalogue! {
    RUNNING = "hostler_scheduler_requests_running", Kind::Gauge, SCHEDULER,
        "Sequences in flight in the engine.";
    WAITING = "hostler_scheduler_requests_waiting", Kind::Gauge, &["model", "scheduler", "priority"],
        "Requests in the scheduler's queue.";
    STATE = "hostler_scheduler_state", Kind::Gauge, &["model", "scheduler", "state"],
        "1 for the state that the scheduler is in, 0 for the others.";
    KV_RESERVED = "hostler_scheduler_kv_reserved_tokens", Kind::Gauge, SCHEDULER,
        "Tokens (prompt and max_tokens) reserved by the sequences in flight.";
    KV_CAPACITY = "hostler_scheduler_kv_capacity_tokens", Kind::Gauge, SCHEDULER,
        "Tokens that the engine's KV cache can hold.";
    BATCH_OCCUPANCY = "hostler_scheduler_batch_occupancy_ratio", Kind::Gauge, SCHEDULER,
        "Sequences in flight, divided by the most that may be.";
    ESTIMATED_WAIT = "hostler_scheduler_estimated_wait_seconds", Kind::Gauge, SCHEDULER,
        "How long a request that arrives now would wait in the queue.";
    RESTARTS = "hostler_scheduler_restarts_total", Kind::Counter, SCHEDULER,
        "Engines replaced by a fresh one after a failure.";
    REQUESTS = "hostler_scheduler_requests_total", Kind::Counter, &["model", "scheduler", "outcome"],
        "Requests that ended, by outcome: stop, length, or an error code.";
    PROMPT_TOKENS = "hostler_scheduler_prompt_tokens_total", Kind::Counter, SCHEDULER,
        "Prompt tokens of requests that the engine began.";
    CACHED_TOKENS = "hostler_scheduler_cached_tokens_total", Kind::Counter, SCHEDULER,
        "Prompt tokens that were taken from the KV cache.";
    GENERATION_TOKENS = "hostler_scheduler_generation_tokens_total", Kind::Counter, SCHEDULER,
        "Tokens generated.";
    QUEUE_SECONDS = "hostler_scheduler_queue_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "From a request's submission to the scheduler until the engine began it.";
    PREFILL_SECONDS = "hostler_scheduler_prefill_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "From there until the first token.";
    DECODE_SECONDS = "hostler_scheduler_decode_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), SCHEDULER,
        "From the first token until the end.";
    TIME_TO_FIRST_TOKEN = "hostler_scheduler_time_to_first_token_seconds",
        Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "From submission until the first token.";
    INTER_TOKEN = "hostler_scheduler_inter_token_seconds", Kind::Histogram(buckets::INTER_TOKEN_SECONDS), SCHEDULER,
        "Every gap between two tokens of a sequence.";
    TIME_PER_OUTPUT_TOKEN = "hostler_scheduler_time_per_output_token_seconds",
        Kind::Histogram(buckets::INTER_TOKEN_SECONDS), SCHEDULER,
        "A request's decode time, divided by its tokens after the first.";
    E2E_SECONDS = "hostler_scheduler_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), SCHEDULER,
        "From submission until the end.";
    REQUEST_PROMPT_TOKENS = "hostler_scheduler_request_prompt_tokens", Kind::Histogram(buckets::TOKENS), SCHEDULER,
        "Length of prompts.";
    REQUEST_GENERATION_TOKENS = "hostler_scheduler_request_generation_tokens", Kind::Histogram(buckets::TOKENS), SCHEDULER,
        "Length of answers.";
    ROUTED = "hostler_router_requests_total", Kind::Counter, &["model", "scheduler", "policy"],
        "Routing decisions, by the scheduler that was chosen.";
    ROUTER_IN_FLIGHT = "hostler_router_requests_in_flight", Kind::Gauge, SCHEDULER,
        "Requests that the router has sent to a scheduler and that have not ended.";
    ROUTER_RETRIES = "hostler_router_retries_total", Kind::Counter, &["model", "reason"],
        "Requests sent to another scheduler before their first token, by the error code of the one before.";
    ROUTER_RETRIES_DENIED = "hostler_router_retries_denied_total", Kind::Counter, &["model"],
        "Requests that were not sent to another scheduler, because the retry budget was spent.";
    ROUTER_DECISIONS = "hostler_router_decisions_total", Kind::Counter, &["model", "reason"],
        "Routing decisions, by why the scheduler was chosen.";
    ROUTER_MIGRATIONS = "hostler_router_migrations_total", Kind::Counter, &["model", "outcome"],
        "Answers whose scheduler failed, by what became of them: moved, completed, nobody_left, deadline_passed, cancelled.";
    ROUTER_BREAKER = "hostler_router_breaker_state", Kind::Gauge, SCHEDULER,
        "0 while requests go to the scheduler, 1 while one tries it again, 2 while it is left alone after failures.";
    ROUTER_REFUSED = "hostler_router_refused_total", Kind::Counter, &["model", "reason"],
        "Requests that no scheduler took, by error code.";
    CLAIMS_HELD = "hostler_router_claims_held", Kind::Gauge, SCHEDULER,
        "Claims made by this router that have not ended.";
    CLAIMS = "hostler_router_claims_total", Kind::Counter, &["scheduler", "outcome"],
        "Claims that have ended, by outcome: released by their holder, or lost (expired, or the engine failed).";
    CLAIMS_REFUSED = "hostler_router_claims_refused_total", Kind::Counter, &["reason"],
        "Claims that were asked for and not granted, by error code.";
    CLAIM_DRAIN_SECONDS = "hostler_router_claim_drain_seconds", Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), SCHEDULER,
        "From a claim's grant until the scheduler had nothing of others any more.";
    BENCHMARKS = "hostler_benchmark_runs_total", Kind::Counter, &["profile", "outcome"],
        "Benchmarks that have ended, by outcome: done, failed, cancelled.";
    BENCHMARK_TOKENS = "hostler_benchmark_tokens_per_second", Kind::Gauge, &["scheduler", "rung"],
        "Output tokens per second that the last benchmark of a scheduler measured, by the layer that it asked.";
    BENCHMARK_FIRST_TOKEN = "hostler_benchmark_time_to_first_token_seconds", Kind::Gauge, &["scheduler", "rung", "quantile"],
        "Time to the first token that it measured: the median and the 95th percentile.";
    HTTP_REQUESTS = "hostler_http_requests_total", Kind::Counter, &["route", "status"],
        "HTTP requests answered.";
    HTTP_IN_FLIGHT = "hostler_http_requests_in_flight", Kind::Gauge, &[],
        "HTTP requests being answered.";
    HTTP_SECONDS = "hostler_http_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), &["route"],
        "From an HTTP request's head until the last byte of its answer was handed to the connection.";
    HTTP_DISCONNECTS = "hostler_http_disconnects_total", Kind::Counter, &["route"],
        "Clients that left before their answer was complete.";
    ANSWERS = "hostler_gateway_requests_total", Kind::Counter, &["model", "tenant", "priority", "outcome"],
        "Generation requests as their clients saw them end: success, cancelled (by the client, or because it left), or another error code. Retries and migrations are not seen here.";
    ANSWER_PROMPT_TOKENS = "hostler_gateway_prompt_tokens_total", Kind::Counter, &["model", "tenant"],
        "Prompt tokens of requests that a scheduler took; a prompt counts once, however many answers it has.";
    ANSWER_TOKENS = "hostler_gateway_generation_tokens_total", Kind::Counter, &["model", "tenant"],
        "Tokens that reached the gateway for its clients.";
    ANSWER_FIRST_TOKEN = "hostler_gateway_time_to_first_token_seconds",
        Kind::Histogram(buckets::FIRST_TOKEN_SECONDS), &["model", "priority"],
        "From a generation request's head until its first token was there for the client.";
    ANSWER_SECONDS = "hostler_gateway_request_seconds", Kind::Histogram(buckets::REQUEST_SECONDS), &["model", "priority"],
        "From a generation request's head until its last byte was handed to the connection, or its client left.";
    BUILD_INFO = "hostler_build_info", Kind::Gauge, &["version", "commit"],
        "Always 1; its labels say what runs. The commit is unknown where the build did not name it.";
    PROCESS_CPU = "process_cpu_seconds_total", Kind::Counter, &[],
        "CPU time of the process, user and system together.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Kind::Gauge, &[],
        "Memory of the process that is in RAM.";
    PROCESS_FDS = "process_open_fds", Kind::Gauge, &[],
        "Open file descriptors.";
    PROCESS_FDS_MAX = "process_max_fds", Kind::Gauge, &[],
        "Most file descriptors that the process may open.";
    PROCESS_THREADS = "process_threads", Kind::Gauge, &[],
        "Threads of the process.";
    PROCESS_START = "process_start_time_seconds", Kind::Gauge, &[],
        "When the process began, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_their_unit() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            // What every process has is named as every exporter names it.
            let ours = metric.name.starts_with("hostler_") || metric.name.starts_with("process_");
            assert!(ours, "{}", metric.name);
            assert!(!metric.labels.contains(&"node"), "{}: every metric carries the node", metric.name);
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
