//! Benchmarks that a server runs itself: submits the order, follows its progress, fetches
//! the result. Ctrl-C cancels the benchmark.

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hostler_benchmark::{BenchmarkRecord, Order, ProgressReport, Status};
use hostler_loadgen::result::BenchmarkResult;
use hostler_loadgen::target::http::{SseParser, with_causes};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::progress::RemoteProgress;
use crate::failure::Usage;

/// Longest answer, in bytes: a hundred results of the usual size.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The server that runs the benchmark.
struct Remote {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    api_key: Option<String>,
}

/// Runs `order` on the server at `url` and shows its progress.
pub(super) async fn run(url: &str, api_key: Option<String>, order: Order) -> anyhow::Result<BenchmarkResult> {
    // Validated here too, so that an invalid argument is a usage error.
    order.plan().map_err(|error| Usage(error.to_string()))?;
    let body = serde_json::to_vec(&order.with_inline_files())?;
    let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
    let remote = Remote { client: Client::builder(TokioExecutor::new()).build_http(), base, api_key };
    let accepted: BenchmarkRecord = remote.json(Method::POST, "/v1/benchmarks", body).await?;
    let path = format!("/v1/benchmarks/{}", accepted.id);
    tokio::select! {
        followed = remote.follow(&path) => followed?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            let _cancelled: BenchmarkRecord = remote.json(Method::DELETE, &path, Vec::new()).await?;
            bail!("{} was cancelled", accepted.id);
        }
    }
    let record: BenchmarkRecord = remote.json(Method::GET, &path, Vec::new()).await?;
    if let Some(claim) = &record.claim {
        eprintln!("{} claimed {}; the drain took {:.3} s", record.id, claim.scheduler, claim.drain_seconds);
    }
    match (record.status, record.result, record.error) {
        (Status::Done, Some(result), _) => Ok(result),
        (_, _, Some(error)) => bail!("{}: {}", record.id, error.message),
        (status, ..) => bail!("{} has no result: it is {}", record.id, status.as_str()),
    }
}

impl Remote {
    /// Shows the progress of a benchmark until it has ended.
    async fn follow(&self, path: &str) -> anyhow::Result<()> {
        let mut body = self.send(Method::GET, &format!("{path}/events"), Vec::new()).await?.into_body();
        let (mut parser, mut progress) = (SseParser::default(), RemoteProgress::default());
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            parser.push(&piece, |event| {
                // The last event, `[DONE]`, is not a report.
                if let Ok(report) = serde_json::from_str::<ProgressReport>(&event.data) {
                    progress.show(&report);
                }
            })?;
        }
        Ok(())
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<T> {
        let bytes = read(self.send(method, path, body).await?).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("{}{path}: invalid answer", self.base))
    }

    /// Sends a request. An answer with an error status is an error.
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Response<Incoming>> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.api_key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::from(body)).map_err(|error| Usage(format!("{url}: {error}")))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| anyhow!("cannot reach {url}: {}", with_causes(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let answer: Value = serde_json::from_slice(&read(response).await?).unwrap_or_default();
        let message = answer["error"]["message"].as_str().unwrap_or("not a Hostler, or one without benchmarks");
        bail!("{url} answers {status}: {message}")
    }
}

async fn read(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    Ok(body.map_err(|error| anyhow!("cannot read the answer: {error}"))?.to_bytes())
}
