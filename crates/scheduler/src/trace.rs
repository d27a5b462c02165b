//! Spans of a traced request: queue, prefill and decode.

use std::time::{Duration, SystemTime};

use hostler_executor::{EndReport, EndState};
use hostler_protocol::{SchedulerId, TraceContext};
use hostler_telemetry::spans::{self, Span, Value};

/// The trace of a sampled request.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    parent: TraceContext,
    scheduler: SchedulerId,
}

/// One phase of a request.
#[derive(Debug)]
struct Phase {
    name: &'static str,
    /// Time from the request's submission to the start of the phase.
    offset: Duration,
    duration: Duration,
    attributes: Vec<(&'static str, Value)>,
}

impl RequestTrace {
    /// `None` if the request is not sampled or no sink for spans is installed.
    pub(crate) fn new(trace: Option<TraceContext>, scheduler: &SchedulerId) -> Option<Self> {
        let parent = trace.filter(|trace| trace.sampled && spans::enabled())?;
        Some(Self { parent, scheduler: scheduler.clone() })
    }

    /// Records the spans of a request that ends now.
    pub(crate) fn ended(&self, report: &EndReport) {
        let timings = report.timings;
        let submitted = SystemTime::now() - (timings.queue + timings.prefill + timings.decode);
        let error = match report.state {
            EndState::Failed(code) => Some(code.as_str()),
            EndState::Finished(_) => None,
        };
        let phases = phases(report);
        let last = phases.len() - 1;
        for (index, mut phase) in phases.into_iter().enumerate() {
            phase.attributes.push(("hostler.scheduler", self.scheduler.as_str().into()));
            spans::record(|| Span {
                trace_id: self.parent.trace_id,
                span_id: self.parent.child().span_id,
                parent: Some(self.parent.span_id),
                name: phase.name.into(),
                server: false,
                start: submitted + phase.offset,
                duration: phase.duration,
                attributes: phase.attributes,
                // The request failed in its last phase.
                error: error.filter(|_| index == last),
            });
        }
    }
}

/// The phases that the request reached; at least the queue.
fn phases(report: &EndReport) -> Vec<Phase> {
    let (usage, timings) = (report.usage, report.timings);
    let phase = |name, offset, duration, attributes| Phase { name, offset, duration, attributes };
    let mut phases = vec![phase("queue", Duration::ZERO, timings.queue, Vec::new())];
    if report.started {
        let attributes = vec![
            ("gen_ai.usage.input_tokens", usage.prompt_tokens.into()),
            ("hostler.cached_tokens", usage.cached_tokens.into()),
        ];
        phases.push(phase("prefill", timings.queue, timings.prefill, attributes));
    }
    if usage.completion_tokens > 0 {
        let mut attributes = vec![("gen_ai.usage.output_tokens", usage.completion_tokens.into())];
        if let EndState::Finished(reason) = report.state {
            attributes.push(("gen_ai.response.finish_reasons", Value::List(vec![reason.as_str()])));
        }
        phases.push(phase("decode", timings.queue + timings.prefill, timings.decode, attributes));
    }
    phases
}

#[cfg(test)]
mod tests {
    use hostler_protocol::{ErrorCode, FinishReason, Timings, Usage};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn report(state: EndState, started: bool, completion_tokens: u32) -> EndReport {
        let usage = Usage { prompt_tokens: 7, cached_tokens: 2, completion_tokens };
        let timings = Timings { queue: 3 * MS, prefill: 5 * MS, decode: 7 * MS };
        EndReport { state, usage, timings, started }
    }

    #[test]
    fn a_request_has_a_span_for_each_phase_that_it_reached() {
        let finished = EndState::Finished(FinishReason::Stop);
        let ends: [(EndState, bool, u32, &[&str]); 3] = [
            (finished, true, 4, &["queue", "prefill", "decode"]),
            (EndState::Failed(ErrorCode::Cancelled), false, 0, &["queue"]),
            (EndState::Failed(ErrorCode::EngineFailed), true, 0, &["queue", "prefill"]),
        ];
        for (state, started, tokens, expected) in ends {
            let phases = phases(&report(state, started, tokens));
            assert_eq!(phases.iter().map(|phase| phase.name).collect::<Vec<_>>(), expected);
            for pair in phases.windows(2) {
                assert_eq!(pair[0].offset + pair[0].duration, pair[1].offset, "each starts where the previous ends");
            }
        }
    }

    #[test]
    fn a_request_that_is_not_sampled_has_no_trace() {
        let quiet = TraceContext { trace_id: 1, span_id: 2, sampled: false };
        assert!(RequestTrace::new(Some(quiet), &"s".into()).is_none());
        assert!(RequestTrace::new(None, &"s".into()).is_none());
    }
}
