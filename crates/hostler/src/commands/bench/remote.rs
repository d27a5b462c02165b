//! Benchmarks that a server runs itself: submits the order, follows its progress, fetches
//! the result. Ctrl-C cancels the benchmark.

use anyhow::{Context, bail};
use hostler_benchmark::{BenchmarkRecord, Order, ProgressReport, Status};
use hostler_loadgen::result::BenchmarkResult;
use hostler_loadgen::target::http::SseParser;
use http_body_util::BodyExt;
use hyper::Method;
use serde::de::DeserializeOwned;

use super::progress::RemoteProgress;
use crate::client::{ApiClient, read};
use crate::failure::Usage;

/// Longest response, in bytes: a hundred results of the usual size.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Runs `order` on the server at `url` and shows its progress.
pub(super) async fn run(url: &str, api_key: Option<&str>, order: Order) -> anyhow::Result<BenchmarkResult> {
    // Validated here too, so that an invalid argument is a usage error.
    order.plan().map_err(|error| Usage(error.to_string()))?;
    let body = serde_json::to_vec(&order.with_inline_files())?;
    let client = ApiClient::new(url, api_key)?;
    let accepted: BenchmarkRecord = request(&client, Method::POST, "/v1/benchmarks", body).await?;
    let path = format!("/v1/benchmarks/{}", accepted.id);
    tokio::select! {
        followed = follow(&client, &path) => followed?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            let _cancelled: BenchmarkRecord = request(&client, Method::DELETE, &path, Vec::new()).await?;
            bail!("{} was cancelled", accepted.id);
        }
    }
    let record: BenchmarkRecord = request(&client, Method::GET, &path, Vec::new()).await?;
    if let Some(claim) = &record.claim {
        eprintln!("{} claimed {}; the drain took {:.3} s", record.id, claim.scheduler, claim.drain_seconds);
    }
    match (record.status, record.result, record.error) {
        (Status::Done, Some(result), _) => Ok(result),
        (_, _, Some(error)) => bail!("{}: {}", record.id, error.message),
        (status, ..) => bail!("{} has no result: it is {}", record.id, status.as_str()),
    }
}

/// Shows the progress of a benchmark until it has ended.
async fn follow(client: &ApiClient, path: &str) -> anyhow::Result<()> {
    let mut body = client.send(Method::GET, &format!("{path}/events"), Vec::new()).await?.into_body();
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

async fn request<T: DeserializeOwned>(
    client: &ApiClient,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<T> {
    let body = read(client.send(method, path, body).await?, BODY_BYTES_MAX).await?;
    serde_json::from_slice(&body).with_context(|| format!("{}: invalid response", client.url(path)))
}
