//! How responses are written, in events or as a whole, and stored.

use std::cell::Cell;

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::{FinishReason, RequestError, RequestId};
use serde_json::Value;

use super::object::{ResponseObject, State, usage};
use super::output::Output;
use crate::generation::{Answer, End, Part, Piece, ResponseFormat, Tally, UsageBody};
use crate::http::sse;
use crate::stored::RunningResponse;

/// Writes a response.
pub(super) struct ResponsesFormat {
    id: RequestId,
    object: ResponseObject,
    output: Output,
    /// Until the response has ended, if it is stored.
    running: Option<RunningResponse>,
    /// Of the next event.
    sequence_number: Cell<u64>,
    /// The response at its end.
    last: Option<Value>,
}

impl ResponsesFormat {
    pub(super) fn new(id: RequestId, object: ResponseObject, running: Option<RunningResponse>) -> Self {
        Self { id, object, output: Output::new(id), running, sequence_number: Cell::new(0), last: None }
    }

    fn write_parts(&mut self, out: &mut BytesMut, parts: &[Part]) {
        for part in parts {
            self.output.part(part, &mut |name, fields| event(&self.sequence_number, out, name, fields));
        }
    }

    fn write_response(&self, out: &mut BytesMut, name: &'static str, response: &Value) {
        event(&self.sequence_number, out, name, serde_json::json!({"response": response}));
    }

    fn store(&self, response: &Value) {
        self.running.iter().for_each(|running| running.end(response.clone()));
    }
}

/// Writes one event.
fn event(sequence_number: &Cell<u64>, out: &mut BytesMut, name: &'static str, mut fields: Value) {
    fields["type"] = name.into();
    fields["sequence_number"] = sequence_number.get().into();
    sequence_number.set(sequence_number.get() + 1);
    sse::named_event(out, name, &fields);
}

fn state(reason: FinishReason) -> State<'static> {
    match reason {
        FinishReason::Stop => State::Completed,
        FinishReason::Length => State::Incomplete,
    }
}

impl ResponseFormat for ResponsesFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let reason = answers.first().map_or(FinishReason::Stop, |answer| answer.reason);
        let state = state(reason);
        let output = answers.first().map(|answer| Output::of(self.id, answer, state.name())).unwrap_or_default();
        let usage = usage(tally.total(), tally.reasoning_tokens());
        let response = self.object.in_state(&state, &output, Some(usage));
        self.store(&response);
        HttpResponse::Ok().json(response)
    }

    fn open(&mut self, out: &mut BytesMut, _: usize) {
        let response = self.object.in_state(&State::InProgress, &[], None);
        self.write_response(out, "response.created", &response);
        self.write_response(out, "response.in_progress", &response);
    }

    fn token(&mut self, out: &mut BytesMut, _: usize, piece: &Piece<'_>) {
        self.write_parts(out, piece.parts);
    }

    fn close(&mut self, out: &mut BytesMut, _: usize, end: &End<'_>) {
        self.write_parts(out, end.parts);
        let state = state(end.finish.reason);
        self.output.close(state.name(), &mut |name, fields| event(&self.sequence_number, out, name, fields));
        let usage = usage(end.finish.usage, end.summary.reasoning_tokens);
        let response = self.object.in_state(&state, self.output.done(), Some(usage));
        self.store(&response);
        self.last = Some(response);
    }

    /// The last event has it.
    fn usage(&self, _: &mut BytesMut, _: UsageBody) {}

    fn end(&self, out: &mut BytesMut) {
        if let Some(response) = &self.last {
            let is_complete = response["status"] == State::Completed.name();
            let name = if is_complete { "response.completed" } else { "response.incomplete" };
            self.write_response(out, name, response);
        }
    }

    fn error(&self, out: &mut BytesMut, error: &RequestError) {
        let response = self.object.in_state(&State::Failed(error), self.output.done(), None);
        self.store(&response);
        self.write_response(out, "response.failed", &response);
    }
}
