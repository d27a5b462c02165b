//! The layers of this Hostler, each asked for the claimed scheduler alone.

use std::sync::Arc;

use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{Lease, Router};
use hostler_scheduler::Scheduler;

use super::handle::Loopback;
use super::order::{Layer, Order};
use super::wire::{Connected, Wire};
use crate::ladder::Rung;
use crate::target::Target;
use crate::target::http::{Endpoint, HttpSettings, HttpTarget};
use crate::target::layer::{Asking, EngineTarget, RouterTarget, SchedulerTarget};

/// What is asked, from the engine upwards.
pub(super) struct Rungs {
    /// The layers.
    pub(super) rungs: Vec<Rung>,
    /// The engine, where it is among them: it must be idle before the scheduler is
    /// given back.
    pub(super) engine: Option<Arc<EngineTarget>>,
    /// The connection that was made for the layer `grpc`: keep it while that is asked.
    pub(super) connection: Option<Connected>,
}

impl Rungs {
    /// The layers that `order` asks. Where it names none, those that are not there
    /// are left out.
    ///
    /// # Errors
    /// `Unavailable`, if one is named that is not there, or HTTP does not answer.
    pub(super) async fn of(
        order: &Order,
        router: &Router,
        lease: &Lease,
        loopback: Option<&Loopback>,
        wire: Option<&Arc<dyn Wire>>,
    ) -> Result<Self, RequestError> {
        let scheduler = lease.scheduler();
        let (description, batch_size_max) = {
            let snapshot = scheduler.snapshot();
            let snapshot = snapshot.borrow();
            (snapshot.description.clone(), snapshot.batch_size_max)
        };
        let has_template = description.is_some_and(|description| description.capabilities.chat);
        let chat = order.chat.unwrap_or(has_template);
        let asking = Asking { model: lease.model().clone(), chat, claim: Some(lease.token()) };
        let mut all = Self { rungs: Vec::new(), engine: None, connection: None };
        for layer in order.layers(scheduler.is_remote()) {
            let target: Option<Arc<dyn Target>> = match layer {
                Layer::Engine => {
                    let engine = scheduler.executor();
                    all.engine =
                        engine.map(|engine| Arc::new(EngineTarget::new(engine, asking.clone(), batch_size_max)));
                    all.engine.clone().map(|engine| engine as Arc<dyn Target>)
                }
                Layer::Scheduler if scheduler.is_remote() => None,
                Layer::Scheduler => Some(Arc::new(SchedulerTarget::new(Arc::clone(scheduler), asking.clone()))),
                Layer::Grpc => all
                    .connected(scheduler, wire)
                    .await?
                    .map(|remote| Arc::new(SchedulerTarget::new(remote, asking.clone())) as Arc<dyn Target>),
                Layer::Router => Some(Arc::new(RouterTarget::new(router.clone(), asking.clone()))),
                Layer::Http | Layer::HttpStream => match loopback {
                    Some(loopback) => Some(Arc::new(http(loopback, &asking, layer).await?)),
                    None => None,
                },
            };
            match target {
                Some(target) => all.rungs.push(Rung { name: layer.as_str().to_owned(), target }),
                None if order.layers.is_empty() => {}
                None => return Err(absent(layer, scheduler.is_remote())),
            }
        }
        Ok(all)
    }

    /// The scheduler behind a connection; `None` where none can be made.
    async fn connected(
        &mut self,
        scheduler: &Arc<dyn Scheduler>,
        wire: Option<&Arc<dyn Wire>>,
    ) -> Result<Option<Arc<dyn Scheduler>>, RequestError> {
        if scheduler.is_remote() {
            return Ok(Some(Arc::clone(scheduler)));
        }
        let Some(wire) = wire else { return Ok(None) };
        let connection = wire.connect(Arc::clone(scheduler)).await?;
        let remote = Arc::clone(&connection.scheduler);
        self.connection = Some(connection);
        Ok(Some(remote))
    }
}

/// How a layer over HTTP is asked: by this server's own address.
pub(super) fn http_settings(loopback: &Loopback, chat: bool, layer: Layer) -> HttpSettings {
    HttpSettings {
        base_url: loopback.url.clone(),
        api_key: loopback.api_key.clone(),
        model: None,
        endpoint: if chat { Endpoint::Chat } else { Endpoint::Completions },
        stream: layer == Layer::HttpStream,
        extra_body: serde_json::Map::new(),
        claim: None,
    }
}

async fn http(loopback: &Loopback, asking: &Asking, layer: Layer) -> Result<HttpTarget, RequestError> {
    let settings = HttpSettings {
        model: Some(asking.model.to_string()),
        claim: asking.claim,
        ..http_settings(loopback, asking.chat, layer)
    };
    HttpTarget::connect(settings).await.map_err(|error| RequestError::new(ErrorCode::Unavailable, error.to_string()))
}

fn absent(layer: Layer, is_remote: bool) -> RequestError {
    let message = match layer {
        Layer::Engine | Layer::Scheduler if is_remote => {
            "this scheduler is in another process, whose layers can be asked only there; here there are grpc, \
             router, http and http-stream"
        }
        Layer::Engine => "no engine is loaded",
        Layer::Grpc => "this server makes no connections to itself",
        _ => "this server does not know its own address yet",
    };
    RequestError::new(ErrorCode::Unavailable, format!("layer {}: {message}", layer.as_str()))
}
