//! The scheduler's metrics: gauges from the snapshot, counters and histograms as events
//! happen.

use std::time::Duration;

use hostler_executor::{EndReport, EndState};
use hostler_protocol::{ErrorCode, FinishReason, ModelId, Priority, SchedulerId};
use hostler_telemetry::{Counter, Gauge, Histogram, catalogue};

use crate::{SchedulerSnapshot, SchedulerState};

/// The metrics of one scheduler.
pub(crate) struct SchedulerMetrics {
    running: Gauge,
    waiting: [Gauge; Priority::ALL.len()],
    state: [Gauge; SchedulerState::ALL.len()],
    kv_reserved: Gauge,
    kv_capacity: Gauge,
    occupancy: Gauge,
    estimated_wait: Gauge,
    restarts: Counter,
    stopped: Counter,
    length: Counter,
    failed: [Counter; ErrorCode::ALL.len()],
    prompt_tokens: Counter,
    cached_tokens: Counter,
    generation_tokens: Counter,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    first_token: Histogram,
    inter_token: Histogram,
    per_output_token: Histogram,
    end_to_end: Histogram,
    request_prompt_tokens: Histogram,
    request_generation_tokens: Histogram,
}

impl SchedulerMetrics {
    /// Creates the metrics. If the exporter is not installed yet, they record nothing.
    pub(crate) fn new(model: &ModelId, scheduler: &SchedulerId) -> Self {
        let labels = [model.as_str(), scheduler.as_str()];
        let with = |value| [labels[0], labels[1], value];
        Self {
            running: catalogue::RUNNING.gauge(&labels),
            waiting: Priority::ALL.map(|class| catalogue::WAITING.gauge(&with(class.as_str()))),
            state: SchedulerState::ALL.map(|state| catalogue::STATE.gauge(&with(state.as_str()))),
            kv_reserved: catalogue::KV_RESERVED.gauge(&labels),
            kv_capacity: catalogue::KV_CAPACITY.gauge(&labels),
            occupancy: catalogue::BATCH_OCCUPANCY.gauge(&labels),
            estimated_wait: catalogue::ESTIMATED_WAIT.gauge(&labels),
            restarts: catalogue::RESTARTS.counter(&labels),
            stopped: catalogue::REQUESTS.counter(&with(FinishReason::Stop.as_str())),
            length: catalogue::REQUESTS.counter(&with(FinishReason::Length.as_str())),
            failed: ErrorCode::ALL.map(|code| catalogue::REQUESTS.counter(&with(code.as_str()))),
            prompt_tokens: catalogue::PROMPT_TOKENS.counter(&labels),
            cached_tokens: catalogue::CACHED_TOKENS.counter(&labels),
            generation_tokens: catalogue::GENERATION_TOKENS.counter(&labels),
            queue: catalogue::QUEUE_SECONDS.histogram(&labels),
            prefill: catalogue::PREFILL_SECONDS.histogram(&labels),
            decode: catalogue::DECODE_SECONDS.histogram(&labels),
            first_token: catalogue::TIME_TO_FIRST_TOKEN.histogram(&labels),
            inter_token: catalogue::INTER_TOKEN.histogram(&labels),
            per_output_token: catalogue::TIME_PER_OUTPUT_TOKEN.histogram(&labels),
            end_to_end: catalogue::E2E_SECONDS.histogram(&labels),
            request_prompt_tokens: catalogue::REQUEST_PROMPT_TOKENS.histogram(&labels),
            request_generation_tokens: catalogue::REQUEST_GENERATION_TOKENS.histogram(&labels),
        }
    }

    /// Sets every gauge to the value in the snapshot.
    pub(crate) fn show(&self, snapshot: &SchedulerSnapshot) {
        self.running.set(f64::from(snapshot.running));
        for (gauge, waiting) in self.waiting.iter().zip(snapshot.waiting) {
            gauge.set(f64::from(waiting));
        }
        for (gauge, state) in self.state.iter().zip(SchedulerState::ALL) {
            gauge.set(if state == snapshot.state { 1.0 } else { 0.0 });
        }
        self.kv_reserved.set(snapshot.kv_reserved_tokens as f64);
        let capacity = snapshot.description.as_ref().map_or(0, |model| model.kv_capacity_tokens);
        self.kv_capacity.set(capacity as f64);
        self.occupancy.set(f64::from(snapshot.running) / f64::from(snapshot.batch_size_max.max(1)));
        self.estimated_wait.set(snapshot.estimated_wait.as_secs_f64());
    }

    /// Counts the replacement of a failed engine.
    pub(crate) fn restarted(&self) {
        self.restarts.increment(1);
    }

    /// Counts a request that failed without a sink, or whose engine will report no end.
    pub(crate) fn failed(&self, code: ErrorCode) {
        if let Some(index) = ErrorCode::ALL.iter().position(|&other| other == code) {
            self.failed[index].increment(1);
        }
    }

    /// Records that the engine started a request.
    pub(crate) fn started(&self, queue: Duration, prompt_tokens: u32) {
        self.queue.record(queue);
        self.prompt_tokens.increment(u64::from(prompt_tokens));
    }

    /// Records a generated token and the time since the previous one of its answer.
    pub(crate) fn token(&self, gap: Option<Duration>) {
        self.generation_tokens.increment(1);
        if let Some(gap) = gap {
            self.inter_token.record(gap);
        }
    }

    /// Records the end of a request.
    pub(crate) fn ended(&self, report: &EndReport) {
        match report.state {
            EndState::Finished(FinishReason::Stop) => self.stopped.increment(1),
            EndState::Finished(FinishReason::Length) => self.length.increment(1),
            EndState::Failed(code) => self.failed(code),
        }
        if report.started {
            self.record_timings(report);
        }
    }

    fn record_timings(&self, report: &EndReport) {
        let (usage, timings) = (report.usage, report.timings);
        self.cached_tokens.increment(u64::from(usage.cached_tokens));
        self.request_prompt_tokens.record(usage.prompt_tokens);
        self.request_generation_tokens.record(usage.completion_tokens);
        self.end_to_end.record(timings.queue + timings.prefill + timings.decode);
        if usage.completion_tokens > 0 {
            self.prefill.record(timings.prefill);
            self.decode.record(timings.decode);
            self.first_token.record(timings.queue + timings.prefill);
        }
        if usage.completion_tokens > 1 {
            self.per_output_token.record(timings.decode / (usage.completion_tokens - 1));
        }
    }
}
