//! Any OpenAI-compatible server, over HTTP/1.1.

mod answer;
mod chunk;
mod error;
mod request;
mod settings;
mod sse;

use std::error::Error;
use std::io;
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

pub use error::HttpError;
pub use settings::{Endpoint, HttpSettings};
pub use sse::{SseEvent, SseParser};

use super::{Target, TargetDescription};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::workload::Job;

/// A connection that was idle for longer is not used again: llama.cpp's server closes
/// one after 5 s, and a request that is just then on its way fails. Rounds that
/// alternate between two servers leave each idle for as long.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// A connection that was closed before says so within a round trip, which is given this
/// long. What breaks later broke under the request.
const CLOSED_WITHIN: Duration = Duration::from_millis(200);

/// Under which claim a request comes.
const CLAIM_HEADER: &str = "x-hostler-claim";

/// Longest description of a model that is kept, in bytes.
const FACTS_BYTES_MAX: usize = 64 * 1024;

/// A server, and how it is asked.
#[derive(Debug)]
pub struct HttpTarget {
    client: Client<HttpConnector, Full<Bytes>>,
    generate_url: Uri,
    settings: HttpSettings,
    model: String,
    facts: Value,
}

impl HttpTarget {
    /// Asks the server for its models, and keeps what it says of the one that
    /// will be asked: the one in the settings, or its first.
    ///
    /// # Errors
    /// When the URL cannot be used, or nobody answers there, or no model is named
    /// by either side.
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

    /// What `/v1/models` says.
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
            return Err(unreachable(format!("it answers {status}: {}", answer::beginning(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| unreachable(format!("it does not answer in JSON: {error}")))
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

    /// Sends a request. Where the connection turns out to be closed, it is sent once more on
    /// another one, as clients do: llama.cpp's server, for one, closes connections after a
    /// stream without saying so, and a request may be on its way just then. The time goes on
    /// meanwhile. A server that ends a connection later than at once has failed.
    async fn send(&self, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let request = || {
            self.builder(Method::POST, &self.generate_url)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))
                .map_err(|error| Failure::Protocol(error.to_string()))
        };
        let sent = Instant::now();
        let answer = match self.client.request(request()?).await {
            Err(error) if was_closed(&error) && sent.elapsed() < CLOSED_WITHIN => self.client.request(request()?).await,
            answer => answer,
        };
        answer.map_err(|error| Failure::Connection(with_causes(&error)))
    }
}

/// Whether the server closed the connection instead of answering.
fn was_closed(error: &(dyn Error + 'static)) -> bool {
    let closed = |kind| matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    let mut cause = Some(error);
    while let Some(error) = cause {
        let by_hyper = error.downcast_ref::<hyper::Error>();
        let by_system = error.downcast_ref::<io::Error>();
        if by_hyper.is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
            || by_system.is_some_and(|error| closed(error.kind()))
        {
            return true;
        }
        cause = error.source();
    }
    false
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
            return Err(answer::refusal(status, response.into_body()).await);
        }
        if self.settings.stream {
            answer::streamed(response.into_body(), stopwatch).await
        } else {
            answer::whole(response.into_body(), stopwatch).await
        }
    }
}

/// An error and what caused it: the outermost alone says only "client error".
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
