//! The response as an object.

use hostler_protocol::{ErrorCode, RequestError, Usage};
use serde_json::{Map, Value, json};

use super::body::ResponsesBody;
use crate::request::Parameters;

/// What a request's response says in every state.
#[derive(Clone)]
pub(super) struct ResponseObject(Map<String, Value>);

/// In which state a response is.
pub(super) enum State<'a> {
    InProgress,
    Completed,
    /// The answer was cut at its maximum length.
    Incomplete,
    Failed(&'a RequestError),
}

impl ResponseObject {
    /// The fields that the request determines.
    pub(super) fn new(body: &ResponsesBody, parameters: &Parameters, is_stored: bool) -> Self {
        let effort = body.reasoning.as_ref().and_then(|reasoning| reasoning.effort);
        let fields = json!({
            "object": "response",
            "background": false,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens(),
            "metadata": body.metadata.clone().unwrap_or_default(),
            "parallel_tool_calls": body.parallel_tool_calls.unwrap_or(true),
            "previous_response_id": body.previous_response_id,
            "reasoning": {"effort": effort, "summary": null},
            "service_tier": "default",
            "store": is_stored,
            "temperature": parameters.sampling.temperature,
            "text": body.text(),
            "tool_choice": body.tool_choice.clone().filter(|choice| !choice.is_null()).unwrap_or_else(|| json!("auto")),
            "tools": body.tools.clone().unwrap_or_default(),
            "top_p": parameters.sampling.top_p,
            "truncation": "disabled",
            "user": body.user,
        });
        let Value::Object(fields) = fields else { return Self(Map::new()) };
        Self(fields)
    }

    /// Adds what is known when the generation has started.
    pub(super) fn identified(mut self, id: &str, model: &str, created: u64) -> Self {
        let fields = [("id", json!(id)), ("model", json!(model)), ("created_at", json!(created))];
        self.0.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// The response in a state.
    pub(super) fn in_state(&self, state: &State<'_>, output: &[Value], usage: Option<Value>) -> Value {
        let mut fields = self.0.clone();
        let (error, details) = match state {
            State::Failed(error) => (json!({"code": error_code(error), "message": error.message}), Value::Null),
            State::Incomplete => (Value::Null, json!({"reason": "max_output_tokens"})),
            State::InProgress | State::Completed => (Value::Null, Value::Null),
        };
        let changing = [
            ("status", json!(state.name())),
            ("error", error),
            ("incomplete_details", details),
            ("output", json!(output)),
            ("usage", usage.unwrap_or_default()),
        ];
        fields.extend(changing.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(fields)
    }
}

impl State<'_> {
    /// In `status`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed(error) if error.code == ErrorCode::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

/// OpenAI's codes do not distinguish more.
fn error_code(error: &RequestError) -> &'static str {
    if error.code == ErrorCode::Overloaded { "rate_limit_exceeded" } else { "server_error" }
}

/// `usage`
pub(super) fn usage(usage: Usage, reasoning_tokens: u32) -> Value {
    let Usage { prompt_tokens, cached_tokens, completion_tokens } = usage;
    json!({
        "input_tokens": prompt_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens},
        "output_tokens": completion_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": prompt_tokens + completion_tokens,
    })
}
