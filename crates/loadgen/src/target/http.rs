//! An OpenAI-compatible server over HTTP/1.1.
//!
//! The client is hyper's, without another layer on top: it must note when each frame of a
//! stream arrives, and retry exactly one kind of failure.

mod answer;
mod error;
mod request;
mod settings;
mod sse;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use hostler_protocol::FencingToken;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response, Uri, body::Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub use error::{HttpError, with_causes};
pub use settings::{Endpoint, HttpSettings};
pub use sse::{SseEvent, SseParser};

use super::{Target, TargetDescription};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::workload::Job;

/// Idle connections are not reused after this time: llama.cpp's server closes them after
/// 5 s, and a request sent at that moment fails. Rounds that alternate between two servers
/// leave connections idle for that long.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// A connection that was already closed fails within a round trip, for which this is
/// generous. A later failure is one of the request itself.
const CLOSED_WITHIN: Duration = Duration::from_millis(200);

/// The header with the claim of a request.
const CLAIM_HEADER: &str = "x-hostler-claim";

/// Longest answer of `/v1/models` that is read, in bytes.
const FACTS_BYTES_MAX: usize = 64 * 1024;

/// A server and its request settings.
#[derive(Debug)]
pub struct HttpTarget {
    client: Client<HttpConnector, Full<Bytes>>,
    generate_url: Uri,
    settings: HttpSettings,
    model: String,
    facts: Value,
}

impl HttpTarget {
    /// Lists the server's models and keeps the description of the one to use: the one in
    /// the settings, or the first.
    ///
    /// # Errors
    /// If the URL is invalid, the server does not answer, or neither side names a model.
    pub async fn connect(settings: HttpSettings) -> Result<Self, HttpError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(usize::MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        let generate_url = settings.url(settings.endpoint.path())?;
        let mut target = Self { client, generate_url, settings, model: String::new(), facts: Value::Null };
        let models = target.models().await;
        let entries =
            models.as_ref().ok().and_then(|models| models.get("data")?.as_array()).cloned().unwrap_or_default();
        let id = |entry: &Value| entry.get("id").and_then(Value::as_str).map(str::to_owned);
        target.model = match (&target.settings.model, models) {
            (Some(model), _) => model.clone(),
            (None, Err(error)) => return Err(error),
            (None, Ok(_)) => {
                let base = target.settings.base_url.clone();
                entries.first().and_then(id).ok_or(HttpError::NoModel { url: base })?
            }
        };
        target.facts = entries.into_iter().find(|entry| id(entry).as_ref() == Some(&target.model)).unwrap_or_default();
        Ok(target)
    }

    /// The answer of `/v1/models`.
    async fn models(&self) -> Result<Value, HttpError> {
        let url = self.settings.url("/v1/models")?;
        let unreachable = |reason: String| HttpError::Unreachable { url: url.to_string(), reason };
        let request =
            self.builder(Method::GET, &url).body(Full::default()).map_err(|error| unreachable(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| unreachable(with_causes(&error)))?;
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), FACTS_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| unreachable(error.to_string()))?
            .to_bytes();
        if !status.is_success() {
            return Err(unreachable(format!("it answers {status}: {}", answer::excerpt(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| unreachable(format!("its answer is not JSON: {error}")))
    }

    fn builder(&self, method: Method, url: &Uri) -> hyper::http::request::Builder {
        let builder = Request::builder().method(method).uri(url.clone());
        let builder = match self.settings.claim {
            Some(FencingToken(token)) => builder.header(CLAIM_HEADER, token),
            None => builder,
        };
        match &self.settings.api_key {
            Some(key) => builder.header(AUTHORIZATION, format!("Bearer {key}")),
            None => builder,
        }
    }

    /// Sends a request. If the connection turns out to be closed, the request is sent once
    /// more on another one, as HTTP clients do: llama.cpp's server closes connections after
    /// a stream without announcing it. The retry is part of the measured time. A connection
    /// that closes later is a failure of the request.
    async fn send(&self, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let request = || {
            self.builder(Method::POST, &self.generate_url)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))
                .map_err(|error| Failure::Protocol(error.to_string()))
        };
        let sent = Instant::now();
        let answer = match self.client.request(request()?).await {
            Err(error) if error::is_closed_connection(&error) && sent.elapsed() < CLOSED_WITHIN => {
                self.client.request(request()?).await
            }
            answer => answer,
        };
        answer.map_err(|error| Failure::Connection(with_causes(&error)))
    }
}

#[async_trait]
impl Target for HttpTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            layer: if self.settings.stream { "http-stream" } else { "http" }.to_owned(),
            address: self.settings.base_url.clone(),
            model: self.model.clone(),
            settings: json!({
                "endpoint": self.settings.endpoint.path(),
                "stream": self.settings.stream,
                "extra_body": self.settings.extra_body,
            }),
            facts: self.facts.clone(),
        }
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let response = self.send(request::body(&self.settings, &self.model, job)).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(answer::error_status(status, response.into_body()).await);
        }
        if self.settings.stream {
            answer::read_stream(response.into_body(), stopwatch).await
        } else {
            answer::read_body(response.into_body(), stopwatch).await
        }
    }
}
