//! The layers of this server as targets, all for the claimed scheduler.

use std::sync::Arc;

use hostler_loadgen::target::http::{Endpoint, HttpSettings, HttpTarget};
use hostler_loadgen::target::{EnergyMeter, Target};
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{Lease, Router};
use hostler_scheduler::Scheduler;

use crate::ladder::Rung;
use crate::layer::Layer;
use crate::loopback::{GrpcConnection, LoopbackGrpc, LoopbackHttp};
use crate::order::Order;
use crate::targets::{EngineTarget, RequestTemplate, RouterTarget, SchedulerTarget};

/// The layers to measure, from the engine upwards.
pub(super) struct Rungs {
    /// The layers.
    pub(super) rungs: Vec<Rung>,
    /// The engine, if it is among them: it must be idle before the claim is released.
    pub(super) engine: Option<Arc<EngineTarget>>,
    /// The connection made for the layer `grpc`, needed while that is measured.
    pub(super) connection: Option<GrpcConnection>,
}

impl Rungs {
    /// The layers of `order`. If it names none, unavailable layers are omitted.
    ///
    /// # Errors
    /// `Unavailable`, if a named layer is unavailable or HTTP does not answer.
    pub(super) async fn of(
        order: &Order,
        router: &Router,
        lease: &Lease,
        http: Option<&LoopbackHttp>,
        grpc: Option<&Arc<dyn LoopbackGrpc>>,
        energy: Option<&Arc<dyn EnergyMeter>>,
    ) -> Result<Self, RequestError> {
        let scheduler = lease.scheduler();
        let (description, batch_size_max) = {
            let snapshot = scheduler.snapshot();
            let snapshot = snapshot.borrow();
            (snapshot.description.clone(), snapshot.batch_size_max)
        };
        let has_template = description.is_some_and(|description| description.capabilities.chat);
        let chat = order.chat.unwrap_or(has_template);
        let template = RequestTemplate { model: lease.model().clone(), chat, claim: Some(lease.token()) };
        let mut all = Self { rungs: Vec::new(), engine: None, connection: None };
        for layer in order.layers(scheduler.is_remote()) {
            let target: Option<Arc<dyn Target>> = match layer {
                Layer::Engine => {
                    let engine = scheduler.executor();
                    all.engine =
                        engine.map(|engine| Arc::new(EngineTarget::new(engine, template.clone(), batch_size_max)));
                    all.engine.clone().map(|engine| engine as Arc<dyn Target>)
                }
                Layer::Scheduler if scheduler.is_remote() => None,
                Layer::Scheduler => Some(Arc::new(SchedulerTarget::new(Arc::clone(scheduler), template.clone()))),
                Layer::Grpc => all
                    .connect(scheduler, grpc)
                    .await?
                    .map(|remote| Arc::new(SchedulerTarget::new(remote, template.clone())) as Arc<dyn Target>),
                Layer::Router => Some(Arc::new(RouterTarget::new(router.clone(), template.clone()))),
                Layer::Http | Layer::HttpStream => match http {
                    Some(http) => Some(Arc::new(http_target(http, &template, layer).await?)),
                    None => None,
                },
            };
            match target {
                Some(target) => {
                    all.rungs.push(Rung { name: layer.as_str().to_owned(), target, energy: energy.cloned() })
                }
                None if order.layers.is_empty() => {}
                None => return Err(unavailable(layer, scheduler.is_remote())),
            }
        }
        Ok(all)
    }

    /// The scheduler behind a gRPC connection; `None` if none can be made.
    async fn connect(
        &mut self,
        scheduler: &Arc<dyn Scheduler>,
        grpc: Option<&Arc<dyn LoopbackGrpc>>,
    ) -> Result<Option<Arc<dyn Scheduler>>, RequestError> {
        if scheduler.is_remote() {
            return Ok(Some(Arc::clone(scheduler)));
        }
        let Some(grpc) = grpc else { return Ok(None) };
        let connection = grpc.connect(Arc::clone(scheduler)).await?;
        let remote = Arc::clone(&connection.scheduler);
        self.connection = Some(connection);
        Ok(Some(remote))
    }
}

/// Settings for requests to this server over HTTP.
pub(super) fn http_settings(http: &LoopbackHttp, chat: bool, layer: Layer) -> HttpSettings {
    HttpSettings {
        base_url: http.url.clone(),
        api_key: http.api_key.clone(),
        model: None,
        endpoint: if chat { Endpoint::Chat } else { Endpoint::Completions },
        stream: layer == Layer::HttpStream,
        extra_body: serde_json::Map::new(),
        claim: None,
    }
}

async fn http_target(
    http: &LoopbackHttp,
    template: &RequestTemplate,
    layer: Layer,
) -> Result<HttpTarget, RequestError> {
    let settings = HttpSettings {
        model: Some(template.model.to_string()),
        claim: template.claim,
        ..http_settings(http, template.chat, layer)
    };
    HttpTarget::connect(settings).await.map_err(|error| RequestError::new(ErrorCode::Unavailable, error.to_string()))
}

fn unavailable(layer: Layer, is_remote: bool) -> RequestError {
    let message = match layer {
        Layer::Engine | Layer::Scheduler if is_remote => {
            "the scheduler is in another process, and this layer can be measured only there; available here are \
             grpc, router, http and http-stream"
        }
        Layer::Engine => "no engine is loaded",
        Layer::Grpc => "this server has no gRPC connection to itself",
        _ => "this server is not listening yet",
    };
    RequestError::new(ErrorCode::Unavailable, format!("layer {}: {message}", layer.as_str()))
}
