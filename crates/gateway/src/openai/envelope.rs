//! What every chunk of an answer has in common, and the answer as a whole.

use bytes::BytesMut;
use hostler_protocol::{ModelId, RequestId};
use serde::Serialize;

use crate::generation::{UsageBody, event};
use crate::shared::unix_seconds;

/// An answer's identity.
pub(super) struct Envelope {
    id: String,
    created: u64,
    model: ModelId,
    /// With usage asked for, OpenAI writes `"usage": null` into every other chunk.
    null_usage: bool,
}

impl Envelope {
    /// The id of the answer is `prefix` and the request's.
    pub(super) fn new(prefix: &str, id: RequestId, model: ModelId, include_usage: bool) -> Self {
        Self { id: format!("{prefix}{id}"), created: unix_seconds(), model, null_usage: include_usage }
    }

    /// Writes one chunk.
    pub(super) fn chunk<C: Serialize>(
        &self,
        out: &mut BytesMut,
        object: &'static str,
        choices: &[C],
        usage: Option<UsageBody>,
    ) {
        let usage = self.null_usage.then_some(usage);
        event(out, &self.around(object, choices, usage));
    }

    /// The answer as a whole.
    pub(super) fn response<C>(&self, object: &'static str, choices: C, usage: UsageBody) -> Enveloped<'_, C> {
        self.around(object, choices, Some(Some(usage)))
    }

    fn around<C>(&self, object: &'static str, choices: C, usage: Option<Option<UsageBody>>) -> Enveloped<'_, C> {
        Enveloped { id: &self.id, object, created: self.created, model: self.model.as_str(), choices, usage }
    }
}

/// Choices with the answer's identity around them.
#[derive(Serialize)]
pub(crate) struct Enveloped<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}
