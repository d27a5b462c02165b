//! Headers that stand in for fields of a body, for clients that cannot set fields.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use hostler_protocol::{Priority, RequestError, SessionId};

use super::body::GenerationBody;
use crate::http::error::ApiError;

const PRIORITY: &str = "x-hostler-priority";
const TIMEOUT: &str = "x-hostler-timeout";
const SESSION: &str = "x-hostler-session";

/// Longest session name, in bytes: longer than any UUID or hash, yet every request carries it.
const SESSION_BYTES_MAX: usize = 128;

/// The options that a request's headers set. A field of the body takes precedence.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct HeaderOptions {
    priority: Option<Priority>,
    /// In seconds; validated with the field that it stands in for.
    timeout: Option<f64>,
    /// There is no field for it: it concerns the router, not the model.
    session: Option<SessionId>,
}

impl HeaderOptions {
    /// Fills in the fields that the body omits.
    pub(crate) fn fill(self, body: &mut GenerationBody) {
        body.priority = body.priority.or(self.priority);
        body.timeout = body.timeout.or(self.timeout);
        body.session = self.session;
    }

    fn read(request: &HttpRequest) -> Result<Self, RequestError> {
        let priority = text(request, PRIORITY)?.map(priority).transpose()?;
        let timeout = text(request, TIMEOUT)?.map(seconds).transpose()?;
        let session = text(request, SESSION)?.map(session).transpose()?;
        Ok(Self { priority, timeout, session })
    }
}

fn text<'a>(request: &'a HttpRequest, name: &'static str) -> Result<Option<&'a str>, RequestError> {
    let Some(value) = request.headers().get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| RequestError::invalid(name, format!("{name} is not plain text")))?;
    Ok(Some(text.trim()))
}

fn priority(text: &str) -> Result<Priority, RequestError> {
    Priority::ALL.into_iter().find(|priority| priority.as_str() == text).ok_or_else(|| {
        let allowed = Priority::ALL.map(Priority::as_str).join(", ");
        RequestError::invalid(PRIORITY, format!("{PRIORITY} must be one of {allowed}"))
    })
}

fn seconds(text: &str) -> Result<f64, RequestError> {
    f64::from_str(text).map_err(|_| RequestError::invalid(TIMEOUT, format!("{TIMEOUT} must be a number of seconds")))
}

fn session(text: &str) -> Result<SessionId, RequestError> {
    if text.is_empty() || text.len() > SESSION_BYTES_MAX {
        let message = format!("{SESSION} has {} bytes; 1 to {SESSION_BYTES_MAX} are allowed", text.len());
        return Err(RequestError::invalid(SESSION, message));
    }
    Ok(SessionId::new(text))
}

impl FromRequest for HeaderOptions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request).map_err(ApiError::from))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(name: &'static str, value: &str) -> Result<HeaderOptions, RequestError> {
        HeaderOptions::read(&TestRequest::default().insert_header((name, value)).to_http_request())
    }

    #[test]
    fn headers_fill_fields_that_the_body_omits() {
        let mut body: GenerationBody = serde_json::from_str(r#"{"priority": "batch"}"#).expect("a valid body");
        read(PRIORITY, "interactive").expect("a class").fill(&mut body);
        assert_eq!(body.priority, Some(Priority::Batch), "the field takes precedence");
        read(TIMEOUT, "2.5").expect("a number").fill(&mut body);
        assert_eq!(body.timeout, Some(2.5));
        read(SESSION, "chat-7").expect("a name").fill(&mut body);
        assert_eq!(body.session.as_ref().map(SessionId::as_str), Some("chat-7"));
    }

    #[test]
    fn an_error_names_an_invalid_header() {
        for (name, value) in [(PRIORITY, "urgent"), (TIMEOUT, "soon"), (SESSION, "")] {
            let error = read(name, value).expect_err("it is invalid");
            assert_eq!(error.param.as_deref(), Some(name));
        }
    }
}
