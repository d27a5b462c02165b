//! Server-sent events, as every streaming endpoint writes them.
//!
//! The body is pulled: the connection polls it when it can write more, so events for a
//! client that does not read do not accumulate here.

use std::convert::Infallible;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hostler_protocol::RequestError;
use serde::Serialize;

use super::error::ErrorBody;

/// The response whose body is `frames`, each of which holds whole events.
pub(crate) fn response(frames: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType(actix_web::mime::TEXT_EVENT_STREAM))
        .insert_header((CACHE_CONTROL, "no-cache"))
        // Otherwise nginx holds events back until its buffer is full.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames.map(Ok::<_, Infallible>))
}

/// Writes one event.
pub(crate) fn event(out: &mut BytesMut, body: &impl Serialize) {
    out.put_slice(b"data: ");
    serde_json::to_writer(out.writer(), body).expect("writing numbers and strings to memory cannot fail");
    out.put_slice(b"\n\n");
}

/// Writes one event with a name.
pub(crate) fn named_event(out: &mut BytesMut, name: &str, body: &impl Serialize) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\n");
    event(out, body);
}

/// Writes the failure of a stream whose head has been sent.
pub(crate) fn error(out: &mut BytesMut, error: &RequestError) {
    named_event(out, "error", &ErrorBody::new(error));
}

/// Writes a comment: clients skip it, people and curl see it. It is part of the event that must be
/// written next, because some clients fail on a block without data.
pub(crate) fn comment(out: &mut BytesMut, text: &str) {
    out.put_slice(format!(": {text}\n").as_bytes());
}

/// Writes the last event of every stream.
pub(crate) fn done(out: &mut BytesMut) {
    out.put_slice(b"data: [DONE]\n\n");
}
