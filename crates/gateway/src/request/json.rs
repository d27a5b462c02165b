//! The extractor for JSON bodies.

use std::io::Read;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use hostler_config::UnknownFields;
use hostler_protocol::{ErrorCode, RequestError};
use hostler_telemetry::catalogue::HTTP_IGNORED_FIELDS;
use serde::de::DeserializeOwned;

use super::lenient::parse_known;
use super::parse::{check_object, parse};
use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::{ApiError, shortened};
use crate::http::limits::DISCARDED_BYTES_MAX;
use crate::http::state::AppState;

/// Longest name of an ignored field in a header, in bytes.
const IGNORED_BYTES_MAX: usize = 64;

/// A request's body, parsed.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let state = AppState::of(&request)?;
            let config = &state.config;
            let is_gzip = check_headers(&request)?;
            let (bytes_max, timeout) = (config.body_bytes_max, config.body_timeout);
            let body = match tokio::time::timeout(timeout, read(&request, payload, bytes_max)).await {
                Ok(body) => body?.freeze(),
                Err(_) => return Err(too_slow(timeout).into()),
            };
            let body = if is_gzip { decompress(body, bytes_max).await? } else { body };
            let bytes = body.len();
            let tolerates = config.unknown_fields == UnknownFields::Ignore && tolerates_unknown_fields(request.path());
            let caller = Caller::extract(&request).await?;
            let read = move || read_json(&body, tolerates);
            let (parsed, ignored) = state.large_bodies.run(caller.tenant(), bytes, read).await??;
            if !ignored.is_empty() {
                let context = RequestContext::extract(&request).await?;
                HTTP_IGNORED_FIELDS.counter(&[context.route.as_str()]).increment(ignored.len() as u64);
                ignored.iter().for_each(|field| context.ignore(in_header(field)));
            }
            Ok(Self(parsed))
        })
    }
}

/// The body, and the names of fields that were ignored.
fn read_json<T: DeserializeOwned>(body: &[u8], tolerates_unknown: bool) -> Result<(T, Vec<String>), RequestError> {
    check_object(body)?;
    if tolerates_unknown { parse_known(body) } else { parse(body).map(|parsed| (parsed, Vec::new())) }
}

/// The endpoints whose clients add fields of their own: OpenAI's and vLLM's.
fn tolerates_unknown_fields(path: &str) -> bool {
    let is_own = path.starts_with("/v1/benchmarks");
    !is_own && (path.starts_with("/v1/") || matches!(path, "/tokenize" | "/detokenize"))
}

/// A field's name as a header can have it.
fn in_header(field: &str) -> String {
    shortened(field, IGNORED_BYTES_MAX).escape_default().to_string()
}

/// Refuses a body that is declared as anything but JSON. Returns whether it is compressed.
fn check_headers(request: &HttpRequest) -> Result<bool, ApiError> {
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
        None => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        Some(encoding) => Err(ApiError::UnsupportedMediaType {
            declared_in: "content-encoding",
            accepts: (ACCEPT_ENCODING, "gzip, identity"),
            message: format!("content-encoding is {encoding:?}; it must be gzip, or the header omitted"),
        }),
    }
}

/// Decompresses a body, on a thread for blocking work. The limit of a body holds before and
/// after, so that a few bytes cannot take memory.
async fn decompress(body: Bytes, bytes_max: usize) -> Result<Bytes, RequestError> {
    let read = move || {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).take(bytes_max as u64 + 1).read_to_end(&mut plain).map(|_| plain)
    };
    match web::block(read).await {
        Ok(Ok(plain)) if plain.len() > bytes_max => Err(too_large(bytes_max)),
        Ok(Ok(plain)) => Ok(plain.into()),
        Ok(Err(error)) => Err(RequestError::invalid("body", format!("the body is not gzip: {error}"))),
        Err(_) => Err(RequestError::shutting_down()),
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
    if seen > bytes_max { Err(too_large(bytes_max)) } else { Ok(body) }
}

fn too_large(bytes_max: usize) -> RequestError {
    let message = format!("the body is larger than {bytes_max} bytes, the limit of this server");
    RequestError { param: Some("body".into()), ..RequestError::new(ErrorCode::RequestTooLarge, message) }
}

fn too_slow(timeout: Duration) -> RequestError {
    RequestError::invalid("body", format!("the body did not arrive within {} seconds", timeout.as_secs()))
}
