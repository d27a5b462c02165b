//! A Hostler elsewhere that carries out an order: sent, watched, fetched; cancelled if
//! the user loses patience.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Stop;
use super::progress::ReportBar;
use crate::result::BenchmarkResult;
use crate::service::{BenchmarkRecord, Order, ProgressReport, Status};
use crate::target::http::SseParser;

/// Longest answer, in bytes: a hundred results of the usual size.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A Hostler elsewhere.
struct Remote {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    api_key: Option<String>,
}

/// Has the Hostler at `url` carry out `order`, and shows how it goes on.
pub(super) async fn carry_out(url: &str, api_key: Option<String>, order: &Order) -> Result<BenchmarkResult, Stop> {
    let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
    let remote = Remote { client: Client::builder(TokioExecutor::new()).build_http(), base, api_key };
    let body = serde_json::to_vec(order).map_err(Stop::failed)?;
    let accepted: BenchmarkRecord = remote.json(Method::POST, "/v1/benchmarks", body).await?;
    let path = format!("/v1/benchmarks/{}", accepted.id);
    tokio::select! {
        watched = remote.watch(&path) => watched?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(Stop::failed)?;
            let _cancelled: BenchmarkRecord = remote.json(Method::DELETE, &path, Vec::new()).await?;
            return Err(Stop::failed(format!("{} was cancelled", accepted.id)));
        }
    }
    let record: BenchmarkRecord = remote.json(Method::GET, &path, Vec::new()).await?;
    if let Some(claim) = &record.claim {
        eprintln!("{} had {} for itself, after a drain of {:.3} s", record.id, claim.scheduler, claim.drain_seconds);
    }
    match (record.status, record.result, record.error) {
        (Status::Done, Some(result), _) => Ok(result),
        (_, _, Some(error)) => Err(Stop::failed(format!("{}: {}", record.id, error.message))),
        (status, ..) => Err(Stop::failed(format!("{} has no result: it is {}", record.id, status.as_str()))),
    }
}

impl Remote {
    /// Shows how a benchmark goes on, until it has ended.
    async fn watch(&self, path: &str) -> Result<(), Stop> {
        let response = self.send(Method::GET, &format!("{path}/events"), Vec::new()).await?;
        let mut body = response.into_body();
        let (mut parser, mut bar) = (SseParser::default(), ReportBar::default());
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(Stop::failed)?.into_data() else { continue };
            let shown = parser.push(&piece, |event| {
                // `[DONE]` is no report.
                if let Ok(report) = serde_json::from_str::<ProgressReport>(&event.data) {
                    bar.show(&report);
                }
            });
            shown.map_err(Stop::failed)?;
        }
        Ok(())
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, Stop> {
        let response = self.send(method, path, body).await?;
        let bytes = read(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| Stop::failed(format!("{}{path}: {error}", self.base)))
    }

    /// The answer, if it is a success.
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response<Incoming>, Stop> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.api_key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::from(body)).map_err(|error| Stop::usage(format!("{url}: {error}")))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| Stop::failed(format!("cannot ask {url}: {error}")))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = read(response).await?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = answer["error"]["message"].as_str().unwrap_or("it is no Hostler, or one without benchmarks");
        Err(Stop::failed(format!("{url} answers {status}: {message}")))
    }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Stop> {
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    Ok(body.map_err(Stop::failed)?.to_bytes())
}
