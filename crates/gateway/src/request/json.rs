//! The extractor for JSON bodies.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::{FromRequest, HttpRequest};
use bytes::BytesMut;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use hostler_protocol::{ErrorCode, RequestError};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::http::error::{ApiError, shortened};
use crate::http::limits::DISCARDED_BYTES_MAX;
use crate::http::state::AppState;

/// Most bytes of a parser's message on a field: it quotes the field's value.
const PARSER_MESSAGE_BYTES_MAX: usize = 300;

/// Longest path of a field in an error, in bytes: its keys may be the client's own.
const PARAM_BYTES_MAX: usize = 128;

/// A request's body, parsed.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let config = &AppState::of(&request)?.config;
            check_headers(&request)?;
            let (bytes_max, timeout) = (config.body_bytes_max, config.body_timeout);
            let body = match tokio::time::timeout(timeout, read(&request, payload, bytes_max)).await {
                Ok(body) => body?,
                Err(_) => return Err(too_slow(timeout).into()),
            };
            Ok(Self(parse_object(&body)?))
        })
    }
}

/// Refuses a body that is declared as anything but plain JSON.
fn check_headers(request: &HttpRequest) -> Result<(), ApiError> {
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(declared) = header(CONTENT_TYPE) {
        let essence = declared.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::UnsupportedMediaType {
                declared_in: "content-type",
                accepts: (ACCEPT, "application/json"),
                message: format!("content-type is {declared:?}; it must be application/json"),
            });
        }
    }
    match header(CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(encoding) => Err(ApiError::UnsupportedMediaType {
            declared_in: "content-encoding",
            accepts: (ACCEPT_ENCODING, "identity"),
            message: format!(
                "content-encoding is {encoding:?}; send the body without compression and without this header"
            ),
        }),
    }
}

/// Reads the body. Nothing is kept of one that is too large.
async fn read(request: &HttpRequest, mut payload: Payload, bytes_max: usize) -> Result<BytesMut, RequestError> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut body = BytesMut::with_capacity(declared.unwrap_or(0).min(bytes_max));
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| RequestError::invalid("body", format!("the body could not be read: {error}")))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= bytes_max {
            body.extend_from_slice(&chunk);
        } else if seen > DISCARDED_BYTES_MAX {
            break;
        } else {
            body = BytesMut::new();
        }
    }
    if seen > bytes_max {
        return Err(RequestError {
            param: Some("body".into()),
            ..RequestError::new(
                ErrorCode::RequestTooLarge,
                format!("the body is larger than {bytes_max} bytes, the limit of this server"),
            )
        });
    }
    Ok(body)
}

fn too_slow(timeout: Duration) -> RequestError {
    RequestError::invalid("body", format!("the body did not arrive within {} seconds", timeout.as_secs()))
}

/// Parses a body that must be an object: serde would also accept an array, with the fields in
/// their order.
fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    let object = body.trim_ascii_start().starts_with(b"{");
    if !object && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        return Err(RequestError::invalid("body", "the body must be a JSON object"));
    }
    parse(body)
}

/// Parses a value. Only an invalid one is parsed a second time, to find the field's name:
/// tracking the path costs an allocation per key.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    if let Ok(parsed) = serde_json::from_slice(body) {
        return Ok(parsed);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(parsed) => match deserializer.end() {
            Ok(()) => return Ok(parsed),
            Err(error) => return Err(explain("", &error)),
        },
        Err(error) => error,
    };
    // The root is rendered as `.`, and a key that was not read yet as `?`.
    let path = error.path().to_string();
    Err(explain(path.trim_end_matches(['.', '?']), error.inner()))
}

/// Describes a parser's error in the client's terms: field, line, value.
fn explain(path: &str, error: &serde_json::Error) -> RequestError {
    let detail = error.to_string();
    // serde lists every known field.
    let detail = match detail.split_once(", expected one of") {
        Some((unknown, rest)) if unknown.starts_with("unknown field") => {
            let at = rest.rfind(" at line").map_or("", |start| &rest[start..]);
            format!("{unknown}{at}")
        }
        _ => detail,
    };
    let detail = shortened(&detail, PARSER_MESSAGE_BYTES_MAX);
    let param = shortened(&field_of(path, &detail), PARAM_BYTES_MAX).into_owned();
    let message = match (error.classify(), param.as_str()) {
        (Category::Data, "") => detail.into_owned(),
        (Category::Data, field) => format!("{field}: {detail}"),
        (_, "") => format!("the body is not valid JSON: {detail}"),
        (_, field) => format!("the body is not valid JSON, at {field}: {detail}"),
    };
    RequestError::invalid(if param.is_empty() { "body".to_owned() } else { param }, message)
}

/// The field that an error is about: its path, or, if that is the path of the enclosing object,
/// the path with the name from the message.
fn field_of(path: &str, detail: &str) -> String {
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start)?.split('`').next());
    match named {
        None => path.to_owned(),
        Some(field) if path.is_empty() => field.to_owned(),
        Some(field) if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        Some(field) => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsing is tested")]
    struct Outer {
        number: u32,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsing is tested")]
    struct Inner {
        text: String,
    }

    #[test]
    fn an_error_names_the_path_of_the_field() {
        let cases = [
            (r#"{"number": -1}"#, "number", "number: invalid value: integer `-1`"),
            (
                r#"{"number": NaN}"#,
                "number",
                "the body is not valid JSON, at number: expected value at line 1 column 12",
            ),
            (r#"{"number": 1e999}"#, "number", "number out of range"),
            (r#"{"number": 1, "list": [{"text": "a"}, {"text": 5}]}"#, "list[1].text", "list[1].text: invalid type"),
            (r#"{"number": 1, "list": [{"txt": 5}]}"#, "list[0].txt", "list[0].txt: unknown field `txt`"),
            (r#"{"number": 1, "list": [{}]}"#, "list[0].text", "missing field `text`"),
            (r#"{"number": 1, "nmber": 1}"#, "nmber", "nmber: unknown field `nmber`"),
            (r#"{"number": 1, "number": 1}"#, "number", "duplicate field `number`"),
            ("{}", "number", "number: missing field `number`"),
            (r#"{"number": 1"#, "body", "the body is not valid JSON: EOF while parsing an object at line 1 column 12"),
            (r#"{"number": 1} x"#, "body", "the body is not valid JSON: trailing characters at line 1 column 15"),
            ("", "body", "the body is not valid JSON: EOF"),
            ("[1]", "body", "the body must be a JSON object"),
            ("null", "body", "the body must be a JSON object"),
        ];
        for (body, param, message) in cases {
            let error = parse_object::<Outer>(body.as_bytes()).expect_err(body);
            assert_eq!(error.param.as_deref(), Some(param), "{body}: {}", error.message);
            assert!(error.message.contains(message), "{body}: {}", error.message);
        }
    }

    #[test]
    fn an_error_names_the_field_that_is_not_utf8() {
        let error = parse::<Outer>(b"{\"number\": 1, \"list\": [{\"text\": \"\xff\"}]}").expect_err("not UTF-8");
        assert_eq!(error.param.as_deref(), Some("list[0].text"), "{}", error.message);
    }
}
