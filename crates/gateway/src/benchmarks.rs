//! Benchmarks: ordered, watched, cancelled. Only an admin's key may.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, ContentType, LOCATION};
use actix_web::{HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::stream;
use hostler_benchmark::{BenchmarkId, BenchmarkProgress, BenchmarkRecord, CompatRequest, Order, Status};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::auth::Admin;
use crate::body::Json;
use crate::error::ApiError;
use crate::generation::event;
use crate::native::Success;
use crate::shared::Shared;

/// How often progress is told: often enough to look alive.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct BenchmarkBody {
    object: &'static str,
    #[serde(flatten)]
    record: BenchmarkRecord,
}

#[derive(Serialize)]
struct BenchmarkList {
    object: &'static str,
    data: Vec<BenchmarkBody>,
}

fn body(record: BenchmarkRecord) -> BenchmarkBody {
    BenchmarkBody { object: "benchmark", record }
}

/// `POST /benchmark`: answers when the benchmark has ended. A client that leaves
/// before that cancels it.
pub(crate) async fn run(
    shared: web::Data<Shared>,
    _: Admin,
    Json(asked): Json<CompatRequest>,
) -> Result<HttpResponse, ApiError> {
    // Boxed: the future holds the whole order, and is part of every handler's.
    let answer = Box::pin(shared.benchmarks.run_compat(asked)).await?;
    Ok(HttpResponse::Ok().json(Success::new(answer)))
}

/// `POST /v1/benchmarks`: answers at once.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    _: Admin,
    Json(order): Json<Order>,
) -> Result<HttpResponse, ApiError> {
    let id = shared.benchmarks.submit(order).await?;
    let record = shared.benchmarks.get(&id).await?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/benchmarks/{id}"))).json(body(record)))
}

/// `GET /v1/benchmarks`: the newest first, without their results.
pub(crate) async fn list(shared: web::Data<Shared>, _: Admin) -> Result<HttpResponse, ApiError> {
    let data = shared.benchmarks.list().await?.into_iter().rev().map(body).collect();
    Ok(HttpResponse::Ok().json(BenchmarkList { object: "list", data }))
}

/// `GET /v1/benchmarks/{id}`
pub(crate) async fn get(shared: web::Data<Shared>, _: Admin, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let record = shared.benchmarks.get(&BenchmarkId::from(id.as_str())).await?;
    Ok(HttpResponse::Ok().json(body(record)))
}

/// `DELETE /v1/benchmarks/{id}`: one that is under way ends when it has given its
/// scheduler back; the answer says how far it is.
pub(crate) async fn cancel(
    shared: web::Data<Shared>,
    _: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = BenchmarkId::from(id.as_str());
    shared.benchmarks.cancel(&id).await?;
    let record = shared.benchmarks.get(&id).await?;
    Ok(HttpResponse::Ok().json(body(record.summary())))
}

/// `GET /v1/benchmarks/{id}/events`: how it goes on, until it has ended.
pub(crate) async fn events(
    shared: web::Data<Shared>,
    _: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let progress = shared.benchmarks.progress(&BenchmarkId::from(id.as_str())).await?;
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher { status: progress.status(), progress, ticks };
    Ok(HttpResponse::Ok()
        .insert_header(ContentType(actix_web::mime::TEXT_EVENT_STREAM))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .streaming(stream::unfold(Some(watcher), tell)))
}

/// Somebody who watches a benchmark.
struct Watcher {
    progress: Arc<BenchmarkProgress>,
    status: watch::Receiver<Status>,
    ticks: Interval,
}

/// The next event: at once, then with every change of the status and at intervals.
async fn tell(watcher: Option<Watcher>) -> Option<(Result<Bytes, Infallible>, Option<Watcher>)> {
    let mut watcher = watcher?;
    tokio::select! {
        _ = watcher.ticks.tick() => {}
        // Its sender is in the progress that is held here.
        _ = watcher.status.changed() => {}
    }
    let report = watcher.progress.report();
    let mut out = BytesMut::new();
    event(&mut out, &report);
    if !report.status.is_final() {
        return Some((Ok(out.freeze()), Some(watcher)));
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
    Some((Ok(out.freeze()), None))
}
