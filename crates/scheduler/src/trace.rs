//! What a traced request did here: spans for the queue, the prompt and the answer.

use std::time::{Duration, SystemTime};

use hostler_executor::{EndReport, EndState};
use hostler_protocol::{SchedulerId, TraceContext};
use hostler_telemetry::spans::{self, Span, Value};

/// A request that is sampled, and who has it.
#[derive(Debug)]
pub(crate) struct Traced {
    parent: TraceContext,
    scheduler: SchedulerId,
}

/// One part of a request.
#[derive(Debug)]
struct Part {
    name: &'static str,
    /// From the request's submission.
    begun: Duration,
    duration: Duration,
    attributes: Vec<(&'static str, Value)>,
}

impl Traced {
    /// `None` for a request that is not sampled, or where nobody takes spans.
    pub(crate) fn new(trace: Option<TraceContext>, scheduler: &SchedulerId) -> Option<Self> {
        let parent = trace.filter(|trace| trace.sampled && spans::enabled())?;
        Some(Self { parent, scheduler: scheduler.clone() })
    }

    /// The request has ended now.
    pub(crate) fn ended(&self, report: &EndReport) {
        let timings = report.timings;
        let submitted = SystemTime::now() - (timings.queue + timings.prefill + timings.decode);
        let error = match report.state {
            EndState::Failed(code) => Some(code.as_str()),
            EndState::Finished(_) => None,
        };
        let parts = parts(report);
        let last = parts.len() - 1;
        for (index, mut part) in parts.into_iter().enumerate() {
            part.attributes.push(("hostler.scheduler", self.scheduler.as_str().into()));
            spans::record(|| Span {
                trace_id: self.parent.trace_id,
                span_id: self.parent.child().span_id,
                parent: Some(self.parent.span_id),
                name: part.name.into(),
                server: false,
                start: submitted + part.begun,
                duration: part.duration,
                attributes: part.attributes,
                // Only the part in which it ended can have failed.
                error: error.filter(|_| index == last),
            });
        }
    }
}

/// The parts that a request got to; at least the queue.
fn parts(report: &EndReport) -> Vec<Part> {
    let (usage, timings) = (report.usage, report.timings);
    let part = |name, begun, duration, attributes| Part { name, begun, duration, attributes };
    let mut parts = vec![part("queue", Duration::ZERO, timings.queue, Vec::new())];
    if report.started {
        let attributes = vec![
            ("gen_ai.usage.input_tokens", usage.prompt_tokens.into()),
            ("hostler.cached_tokens", usage.cached_tokens.into()),
        ];
        parts.push(part("prefill", timings.queue, timings.prefill, attributes));
    }
    if usage.completion_tokens > 0 {
        let mut attributes = vec![("gen_ai.usage.output_tokens", usage.completion_tokens.into())];
        if let EndState::Finished(reason) = report.state {
            attributes.push(("gen_ai.response.finish_reasons", Value::List(vec![reason.as_str()])));
        }
        parts.push(part("decode", timings.queue + timings.prefill, timings.decode, attributes));
    }
    parts
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
    fn a_request_has_the_parts_that_it_got_to() {
        let finished = EndState::Finished(FinishReason::Stop);
        let ends: [(EndState, bool, u32, &[&str]); 3] = [
            (finished, true, 4, &["queue", "prefill", "decode"]),
            (EndState::Failed(ErrorCode::Cancelled), false, 0, &["queue"]),
            (EndState::Failed(ErrorCode::EngineFailed), true, 0, &["queue", "prefill"]),
        ];
        for (state, started, tokens, expected) in ends {
            let parts = parts(&report(state, started, tokens));
            assert_eq!(parts.iter().map(|part| part.name).collect::<Vec<_>>(), expected);
            for pair in parts.windows(2) {
                assert_eq!(pair[0].begun + pair[0].duration, pair[1].begun, "one begins where the other ends");
            }
        }
    }

    #[test]
    fn a_request_that_is_not_sampled_leaves_nothing() {
        let quiet = TraceContext { trace_id: 1, span_id: 2, sampled: false };
        assert!(Traced::new(Some(quiet), &"s".into()).is_none());
        assert!(Traced::new(None, &"s".into()).is_none());
    }
}
