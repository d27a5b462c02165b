//! A client of a running Hostler, for the commands that ask one.
//!
//! It uses hyper directly: reqwest would change the features of tower and hyper-util in builds
//! without engines, and so rebuild the gRPC stack, for a few lines less here.

use std::fmt;

use hostler_loadgen::target::http::with_causes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::failure::Usage;

/// A client of one server.
pub(crate) struct ApiClient {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// There was no response, or it ended early.
    Unreachable(String),
    /// The response has an error status.
    Status {
        url: String,
        status: StatusCode,
        /// The message in OpenAI's error JSON; other servers send none.
        message: Option<String>,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::Status { url, status, message } => {
                write!(
                    f,
                    "{url} responded {status}: {}",
                    message.as_deref().unwrap_or("not a Hostler, or an older one")
                )
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl ApiClient {
    /// A client of the server at `url`, with or without `/v1` at its end.
    ///
    /// # Errors
    /// [`Usage`], if the URL or the key is invalid.
    pub(crate) fn new(url: &str, api_key: Option<&str>) -> Result<Self, Usage> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let is_http = |url: &Uri| url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty());
        if !base.parse::<Uri>().is_ok_and(|url| is_http(&url)) {
            return Err(Usage(format!("--url: {url:?} is not a URL of the form http://HOST:PORT")));
        }
        let bearer = |key: &str| HeaderValue::from_str(&format!("Bearer {key}"));
        let authorization = api_key.map(bearer).transpose();
        let authorization = authorization
            .map_err(|_| Usage("--api-key: the key has characters that a header cannot have".to_owned()))?;
        Ok(Self { http: Client::builder(TokioExecutor::new()).build_http(), base: base.to_owned(), authorization })
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request with a JSON body, which may be empty.
    ///
    /// # Errors
    /// If the server cannot be reached, or if the response has an error status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, ClientError> {
        let url = self.url(path);
        let invalid = |error: &dyn fmt::Display| ClientError::Unreachable(format!("{url}: {error}"));
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|error: hyper::http::uri::InvalidUri| invalid(&error))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().extend(self.authorization.clone().map(|key| (AUTHORIZATION, key)));
        let response = self.http.request(request).await.map_err(|error| {
            let causes = with_causes(&error);
            ClientError::Unreachable(format!("cannot reach {url}: {causes}; is a Hostler listening there?"))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response, ERROR_BYTES_MAX).await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(ClientError::Status { url, status, message: body["error"]["message"].as_str().map(str::to_owned) })
    }
}

/// Longest error response, in bytes: far more than a Hostler sends.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Reads a response's body of at most `bytes_max` bytes.
///
/// # Errors
/// If the body is longer, or ends early.
pub(crate) async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    Ok(body.map_err(|error| ClientError::Unreachable(format!("cannot read the response: {error}")))?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_may_end_in_a_slash_or_in_v1() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            let client = ApiClient::new(url, Some("key")).expect("the URL is valid");
            assert_eq!(client.url("/admin/cluster"), "http://h:1/admin/cluster");
            assert_eq!(client.authorization, Some(HeaderValue::from_static("Bearer key")));
        }
    }

    #[test]
    fn an_invalid_url_or_key_is_a_usage_error() {
        for url in ["https://h", "h:8080", "127.0.0.1:8080", "ftp://h", "http://", ""] {
            let Usage(message) = ApiClient::new(url, None).err().expect(url);
            assert!(message.contains(&format!("{url:?}")), "{message}");
        }
        assert!(ApiClient::new("http://h", Some("a\nb")).is_err());
    }
}
