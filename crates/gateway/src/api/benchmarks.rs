//! Benchmarks: ordered, followed, cancelled. They require an admin's key.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::stream;
use hostler_benchmark::{BenchmarkId, BenchmarkProgress, BenchmarkRecord, CompatRequest, Order, Status};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::http::bodies::{List, Success};
use crate::http::error::ApiError;
use crate::http::sse;
use crate::http::state::AppState;
use crate::request::Json;

/// How often progress is reported: often enough for a progress bar.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct BenchmarkBody {
    object: &'static str,
    #[serde(flatten)]
    record: BenchmarkRecord,
}

fn body(record: BenchmarkRecord) -> BenchmarkBody {
    BenchmarkBody { object: "benchmark", record }
}

/// Measures a scheduler, and responds with the result.
///
/// If the client disconnects, the benchmark is cancelled.
#[utoipa::path(
    post,
    path = "/benchmark",
    tag = "benchmarks",
    responses((status = 200, description = "The result")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn run_benchmark(
    state: web::Data<AppState>,
    Json(order): Json<CompatRequest>,
) -> Result<HttpResponse, ApiError> {
    // Boxed: the future holds the whole order, and would be part of the handler's.
    let result = Box::pin(state.benchmarks.run_compat(order)).await?;
    Ok(HttpResponse::Ok().json(Success::new(result)))
}

/// Orders a benchmark of a scheduler, and responds at once.
#[utoipa::path(
    post,
    path = "/v1/benchmarks",
    tag = "benchmarks",
    responses((status = 202, description = "The benchmark, which waits for its turn")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn create_benchmark(
    state: web::Data<AppState>,
    Json(order): Json<Order>,
) -> Result<HttpResponse, ApiError> {
    let id = state.benchmarks.submit(order).await?;
    let record = state.benchmarks.get(&id).await?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/benchmarks/{id}"))).json(body(record)))
}

/// Lists the stored benchmarks without their results, newest first.
#[utoipa::path(
    get,
    path = "/v1/benchmarks",
    tag = "benchmarks",
    responses((status = 200, description = "The benchmarks")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn list_benchmarks(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let list: List<_> = state.benchmarks.list().await?.into_iter().rev().map(body).collect();
    Ok(HttpResponse::Ok().json(list))
}

/// Shows one benchmark with its result.
#[utoipa::path(
    get,
    path = "/v1/benchmarks/{id}",
    tag = "benchmarks",
    params(("id" = String, Path, description = "The benchmark's id")),
    responses((status = 200, description = "The benchmark")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn get_benchmark(state: web::Data<AppState>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let record = state.benchmarks.get(&BenchmarkId::from(id.as_str())).await?;
    Ok(HttpResponse::Ok().json(body(record)))
}

/// Cancels a benchmark.
///
/// A running one ends after it has released its scheduler; the response shows its progress.
#[utoipa::path(
    delete,
    path = "/v1/benchmarks/{id}",
    tag = "benchmarks",
    params(("id" = String, Path, description = "The benchmark's id")),
    responses((status = 200, description = "The benchmark")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn cancel_benchmark(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = BenchmarkId::from(id.as_str());
    state.benchmarks.cancel(&id).await?;
    let record = state.benchmarks.get(&id).await?;
    Ok(HttpResponse::Ok().json(body(record.summary())))
}

/// Streams the progress of a benchmark until it ends, as events.
#[utoipa::path(
    get,
    path = "/v1/benchmarks/{id}/events",
    tag = "benchmarks",
    params(("id" = String, Path, description = "The benchmark's id")),
    responses((status = 200, description = "A stream of progress reports")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn benchmark_events(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let progress = state.benchmarks.progress(&BenchmarkId::from(id.as_str())).await?;
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower { status: progress.status(), progress, ticks };
    Ok(sse::response(stream::unfold(Some(follower), next_report)))
}

/// A client that follows a benchmark.
struct Follower {
    progress: Arc<BenchmarkProgress>,
    status: watch::Receiver<Status>,
    ticks: Interval,
}

/// The next event: at once, then on every change of the status and at intervals.
async fn next_report(follower: Option<Follower>) -> Option<(Bytes, Option<Follower>)> {
    let mut follower = follower?;
    tokio::select! {
        _ = follower.ticks.tick() => {}
        // This cannot fail: `progress` holds the sender.
        _ = follower.status.changed() => {}
    }
    let report = follower.progress.report();
    let mut out = BytesMut::new();
    sse::event(&mut out, &report);
    if !report.status.is_final() {
        return Some((out.freeze(), Some(follower)));
    }
    sse::done(&mut out);
    Some((out.freeze(), None))
}
