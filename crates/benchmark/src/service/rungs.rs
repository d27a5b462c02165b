//! The layers of this Hostler, each asked for the claimed scheduler alone.

use std::sync::Arc;

use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{Lease, Router};

use super::handle::Loopback;
use super::order::{Layer, Order};
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
        let mut all = Self { rungs: Vec::new(), engine: None };
        for layer in order.layers() {
            let target: Option<Arc<dyn Target>> = match layer {
                Layer::Engine => {
                    let engine = scheduler.executor();
                    all.engine =
                        engine.map(|engine| Arc::new(EngineTarget::new(engine, asking.clone(), batch_size_max)));
                    all.engine.clone().map(|engine| engine as Arc<dyn Target>)
                }
                Layer::Scheduler => Some(Arc::new(SchedulerTarget::new(Arc::clone(scheduler), asking.clone()))),
                Layer::Router => Some(Arc::new(RouterTarget::new(router.clone(), asking.clone()))),
                Layer::Http | Layer::HttpStream => match loopback {
                    Some(loopback) => Some(Arc::new(http(loopback, &asking, layer).await?)),
                    None => None,
                },
            };
            match target {
                Some(target) => all.rungs.push(Rung { name: layer.as_str().to_owned(), target }),
                None if order.layers.is_empty() => {}
                None => return Err(absent(layer)),
            }
        }
        Ok(all)
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

fn absent(layer: Layer) -> RequestError {
    let message = match layer {
        Layer::Engine => "the engine of this scheduler is in another process, where it cannot be asked directly",
        _ => "this server does not know its own address yet",
    };
    RequestError::new(ErrorCode::Unavailable, format!("layer {}: {message}", layer.as_str()))
}
