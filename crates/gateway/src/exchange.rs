//! What is known of one HTTP request while it is answered.

use std::cell::{Cell, RefCell};
use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use hostler_protocol::{Engine, ErrorCode, ModelDescription, RequestError, RequestId, SchedulerId};

use crate::error::ApiError;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::timing::ServerTiming;

/// The notes that a handler leaves for the response's headers and the log line.
/// One worker thread has it, so cells are enough.
#[derive(Clone)]
pub(crate) struct Exchange(Rc<Notes>);

pub(crate) struct Notes {
    /// The generation's own id, whatever the client calls the request.
    pub(crate) id: RequestId,
    /// What the client calls it, or else `id`.
    pub(crate) request_id: String,
    /// When its head had been read.
    pub(crate) started: Instant,
    pub(crate) schedulers: RefCell<String>,
    pub(crate) simulated: Cell<bool>,
    pub(crate) timing: Cell<Option<ServerTiming>>,
    pub(crate) prompt_tokens: Cell<Option<u32>>,
    pub(crate) completion_tokens: Cell<Option<u32>>,
    /// The failure that a stream ended in, after its head was sent.
    pub(crate) stream_error: Cell<Option<ErrorCode>>,
    ignored: RefCell<Vec<&'static str>>,
}

impl Exchange {
    /// Begins with the client's `x-request-id`, if it is one that can stand in a
    /// log line; another one is replaced, and named among what was ignored.
    pub(crate) fn begin(client_id: Option<&[u8]>) -> Self {
        let id = RequestId::new();
        let taken = client_id.and_then(readable_id);
        let refused = client_id.is_some() && taken.is_none();
        Self(Rc::new(Notes {
            id,
            request_id: taken.map_or_else(|| id.to_string(), str::to_owned),
            started: Instant::now(),
            schedulers: RefCell::default(),
            simulated: Cell::default(),
            timing: Cell::default(),
            prompt_tokens: Cell::default(),
            completion_tokens: Cell::default(),
            stream_error: Cell::default(),
            ignored: RefCell::new(if refused { vec!["x-request-id"] } else { Vec::new() }),
        }))
    }

    /// A harmless part of the request that has no effect here.
    pub(crate) fn ignore(&self, field: &'static str) {
        let mut ignored = self.0.ignored.borrow_mut();
        if !ignored.contains(&field) {
            ignored.push(field);
        }
    }

    /// What was ignored, comma-separated; `None` if nothing was.
    pub(crate) fn ignored(&self) -> Option<String> {
        let ignored = self.0.ignored.borrow();
        (!ignored.is_empty()).then(|| ignored.join(", "))
    }

    /// A scheduler took (a part of) the request.
    pub(crate) fn taken_by(&self, scheduler: &SchedulerId, description: &ModelDescription) {
        let mut schedulers = self.0.schedulers.borrow_mut();
        if !schedulers.split(", ").any(|known| known == scheduler.as_str()) {
            if !schedulers.is_empty() {
                schedulers.push_str(", ");
            }
            schedulers.push_str(scheduler.as_str());
        }
        if description.engine == Engine::Simulated {
            self.0.simulated.set(true);
        }
    }

    /// One more token was produced.
    pub(crate) fn count_token(&self) {
        self.0.completion_tokens.set(Some(self.0.completion_tokens.get().unwrap_or(0) + 1));
    }

    /// Time since the request's head.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }
}

impl std::ops::Deref for Exchange {
    type Target = Notes;

    fn deref(&self) -> &Notes {
        &self.0
    }
}

/// Letters, digits and `-_.:/+=`, within the bound.
fn readable_id(id: &[u8]) -> Option<&str> {
    let readable = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(readable);
    fits.then(|| std::str::from_utf8(id).ok()).flatten()
}

impl FromRequest for Exchange {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let exchange = request.extensions().get::<Self>().cloned();
        ready(exchange.ok_or_else(|| RequestError::new(ErrorCode::Internal, "the request was not observed").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_id_is_taken_over_and_another_is_replaced() {
        let taken = Exchange::begin(Some(b"job-7/a.b:c"));
        assert_eq!(taken.request_id, "job-7/a.b:c");
        assert_eq!(taken.ignored(), None);
        let long = vec![b'a'; REQUEST_ID_BYTES_MAX + 1];
        for bad in [&b"two words"[..], b"", b"a\"b", "é".as_bytes(), &long] {
            let replaced = Exchange::begin(Some(bad));
            assert_eq!(replaced.request_id, replaced.id.to_string());
            assert_eq!(replaced.ignored().as_deref(), Some("x-request-id"));
        }
    }
}
