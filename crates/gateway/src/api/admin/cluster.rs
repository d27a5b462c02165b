//! `GET /admin/cluster` and `GET /admin/schedulers`

use actix_web::{HttpResponse, web};
use hostler_scheduler::SchedulerSnapshot;

use super::types::{ClaimBody, ClusterBody, GatewayBody, NodeBody, PlacedSchedulerBody, SchedulerBody};
use crate::http::bodies::List;
use crate::http::state::AppState;

/// Shows nodes, schedulers and claims.
#[utoipa::path(
    get,
    path = "/admin/cluster",
    tag = "admin",
    responses((status = 200, description = "The cluster as this gateway knows it")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn cluster(state: web::Data<AppState>) -> HttpResponse {
    let view = &*state.cluster;
    let nodes = view.nodes();
    let joined = state.router.schedulers();
    let is_joined = |known: &SchedulerSnapshot| joined.iter().any(|joined| joined.id == known.id);
    let others: Vec<_> = view.schedulers().into_iter().filter(|known| !is_joined(known)).collect();
    let claims = joined.iter().chain(&others).filter_map(ClaimBody::of).collect();
    let schedulers = joined.into_iter().map(|one| (true, one)).chain(others.into_iter().map(|one| (false, one)));
    let place = |(joined, scheduler): (bool, SchedulerSnapshot)| {
        let node = nodes.iter().find(|node| node.schedulers.contains(&scheduler.id));
        let node = node.and_then(|node| node.name.as_ref().map(ToString::to_string));
        PlacedSchedulerBody { node, joined, scheduler: scheduler.into() }
    };
    let schedulers = schedulers.map(place).collect();
    let directory = view.directory();
    let gateway = GatewayBody {
        node: view.node().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: state.started.elapsed().as_secs(),
        membership: directory.name.to_owned(),
        directory: directory.status.map(Into::into),
    };
    let nodes = nodes.into_iter().map(NodeBody::from).collect();
    HttpResponse::Ok().json(ClusterBody { object: "cluster", gateway, nodes, schedulers, claims })
}

/// Shows the state and load of every scheduler.
#[utoipa::path(
    get,
    path = "/admin/schedulers",
    tag = "admin",
    responses((status = 200, description = "The schedulers that have joined the router")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn schedulers(state: web::Data<AppState>) -> HttpResponse {
    let list: List<_> = state.router.schedulers().into_iter().map(SchedulerBody::from).collect();
    HttpResponse::Ok().json(list)
}
