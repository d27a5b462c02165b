//! The fields that all chunks of an answer share, and the answer as a whole.

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::{ModelId, RequestId};
use serde::Serialize;

use crate::generation::UsageBody;
use crate::http::sse;
use crate::http::state::unix_seconds;

/// An answer's identity.
pub(super) struct Envelope {
    id: String,
    created: u64,
    model: ModelId,
    /// If usage is requested, OpenAI writes `"usage": null` into every other chunk.
    null_usage: bool,
}

impl Envelope {
    /// The id of the answer is `prefix` followed by the request's id.
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
        sse::event(out, &self.wrap(object, choices, usage));
    }

    /// The answer as a whole.
    pub(super) fn whole<C: Serialize>(&self, object: &'static str, choices: &[C], usage: UsageBody) -> HttpResponse {
        HttpResponse::Ok().json(self.wrap(object, choices, Some(Some(usage))))
    }

    fn wrap<'a, C>(
        &'a self,
        object: &'static str,
        choices: &'a [C],
        usage: Option<Option<UsageBody>>,
    ) -> Enveloped<'a, C> {
        Enveloped { id: &self.id, object, created: self.created, model: self.model.as_str(), choices, usage }
    }
}

/// Choices inside the answer's envelope.
#[derive(Serialize)]
struct Enveloped<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}
