//! Asks a Hostler for its cluster, over HTTP/1.1.

use std::fmt;
use std::time::Duration;

use anyhow::bail;
use hostler_loadgen::target::http::with_causes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::cluster::Cluster;
use crate::failure::Usage;

/// How long the whole answer may take. It asks nobody, so milliseconds are usual.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer, in bytes: ten thousand schedulers.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A Hostler that is asked.
pub(super) struct Client {
    http: HttpClient<HttpConnector, Empty<Bytes>>,
    url: Uri,
    authorization: Option<HeaderValue>,
}

/// What it says.
pub(super) struct Answer {
    /// As it came, one line.
    pub(super) json: String,
    pub(super) cluster: Cluster,
}

/// Why there is nothing to show.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nobody answers there, or not now.
    Away(String),
    /// The answer is no, and will be.
    Refused(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(why) | Self::Refused(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for NoAnswer {}

impl Client {
    /// A client of the Hostler at `url`, with or without `/v1` at its end, as other
    /// clients write it.
    ///
    /// # Errors
    /// [`Usage`], for what is no such URL, or a key that no header can carry.
    pub(super) fn new(url: &str, api_key: Option<&str>) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let parsed = format!("{base}/admin/cluster").parse::<Uri>().ok();
        let is_http = |url: &Uri| url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty());
        let Some(uri) = parsed.filter(is_http) else {
            bail!(Usage(format!("--url: {url:?} cannot be used; write it as http://HOST:PORT")));
        };
        let bearer = |key: &str| HeaderValue::from_str(&format!("Bearer {key}"));
        let authorization = api_key.map(bearer).transpose();
        let authorization =
            authorization.map_err(|_| Usage("--api-key: it has letters that no key can have".to_owned()))?;
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Ok(Self { http, url: uri, authorization })
    }

    /// Asks once.
    pub(super) async fn cluster(&self) -> Result<Answer, NoAnswer> {
        let asked = tokio::time::timeout(PATIENCE, self.ask()).await;
        asked.unwrap_or_else(|_| {
            Err(NoAnswer::Away(format!("{} does not answer within {} s", self.url, PATIENCE.as_secs())))
        })
    }

    async fn ask(&self) -> Result<Answer, NoAnswer> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.clone();
        request.headers_mut().extend(self.authorization.clone().map(|key| (AUTHORIZATION, key)));
        let response = self.http.request(request).await;
        let response = response.map_err(|error| {
            NoAnswer::Away(format!("cannot ask {}: {}; does a Hostler listen there?", self.url, with_causes(&error)))
        })?;
        let status = response.status();
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(self.refusal(status, &body));
        }
        match serde_json::from_str(&body) {
            Ok(cluster) => Ok(Answer { json: body.trim().to_owned(), cluster }),
            Err(error) => Err(NoAnswer::Refused(format!("{} does not answer as a Hostler does: {error}", self.url))),
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Result<String, NoAnswer> {
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| NoAnswer::Away(format!("the answer of {} broke off: {error}", self.url)))?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }

    fn refusal(&self, status: StatusCode, body: &str) -> NoAnswer {
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        let said = answer["error"]["message"].as_str();
        let url = &self.url;
        match (status, said) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, said) => NoAnswer::Refused(format!(
                "{url} answers {status}: {}; an admin's key is needed: --api-key or HOSTLER_API_KEY",
                said.unwrap_or("it does not say why"),
            )),
            (status, said) if status.is_server_error() => {
                NoAnswer::Away(format!("{url} answers {status}: {}", said.unwrap_or("it does not say why")))
            }
            (status, _) => NoAnswer::Refused(format!("{url} answers {status}: it is no Hostler, or an older one")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_may_end_as_other_clients_write_it() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            let client = Client::new(url, Some("key")).expect("it can be used");
            assert_eq!(client.url, "http://h:1/admin/cluster");
            assert_eq!(client.authorization, Some(HeaderValue::from_static("Bearer key")));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        for url in ["https://h", "h:8080", "127.0.0.1:8080", "ftp://h", "http://", ""] {
            let error = Client::new(url, None).err().expect(url);
            assert!(error.is::<Usage>() && error.to_string().contains(&format!("{url:?}")), "{error}");
        }
        assert!(Client::new("http://h", Some("a\nb")).is_err());
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        let client = Client::new("http://h:1", None).expect("it can be used");
        let said = r#"{"error": {"message": "this API key is not known"}}"#;
        let refusal = |status: u16, body| client.refusal(StatusCode::from_u16(status).expect("a status"), body);
        for status in [401, 403] {
            let refused = refusal(status, said);
            assert!(
                matches!(&refused, NoAnswer::Refused(why) if why.contains("not known") && why.contains("--api-key"))
            );
        }
        assert!(matches!(refusal(404, "<html>"), NoAnswer::Refused(why) if why.contains("no Hostler")));
        assert!(matches!(refusal(503, said), NoAnswer::Away(_)));
    }
}
