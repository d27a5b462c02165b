//! Observes one request on the engine's threads and reports to the actor and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Recipient;
use hostler_executor::{EndReport, EndState, SequenceObserver};
use hostler_protocol::ErrorCode;

use crate::active::{ActiveRequest, ActiveRequests};
use crate::messages::SequenceEnded;
use crate::metrics::SchedulerMetrics;
use crate::state::{Ticket, work};
use crate::trace::RequestTrace;

/// The work that an engine has done since it was loaded, in the units of [`work`].
#[derive(Debug, Default)]
pub(crate) struct WorkMeter(AtomicU64);

impl WorkMeter {
    fn add(&self, work: u64) {
        self.0.fetch_add(work, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Observes one request from its submission to the end of its sink.
pub(crate) struct RequestObserver {
    pub(crate) ticket: Ticket,
    pub(crate) prompt_tokens: u32,
    pub(crate) request: Arc<ActiveRequest>,
    pub(crate) active: Arc<ActiveRequests>,
    pub(crate) meter: Arc<WorkMeter>,
    pub(crate) metrics: Arc<SchedulerMetrics>,
    pub(crate) actor: Recipient<SequenceEnded>,
    pub(crate) trace: Option<RequestTrace>,
}

impl SequenceObserver for RequestObserver {
    fn started(&mut self, queue: Duration) {
        self.request.set_started();
        self.metrics.started(queue, self.prompt_tokens);
    }

    fn token(&mut self, index: u32, gap: Duration) {
        self.request.add_token();
        // The prompt counts as processed when the first token arrives.
        let prompt_tokens = if index == 0 { self.prompt_tokens } else { 0 };
        self.meter.add(work(prompt_tokens, 1));
        self.metrics.token((index > 0).then_some(gap));
    }

    fn ended(&mut self, report: &EndReport) {
        self.active.remove(&self.ticket);
        let engine_failed = report.state == EndState::Failed(ErrorCode::EngineFailed);
        if self.request.count_once() {
            let mut report = *report;
            // The engine only knows that it was asked to stop; the scheduler knows why.
            if let (EndState::Failed(code), Some(error)) = (&mut report.state, self.request.cut_off.get()) {
                *code = error.code;
            }
            self.metrics.ended(&report);
            if let Some(trace) = &self.trace {
                trace.ended(&report);
            }
        }
        if self.request.in_engine() {
            let answer_tokens = report.usage.completion_tokens;
            self.actor.do_send(SequenceEnded { ticket: self.ticket, answer_tokens, engine_failed });
        }
    }
}
