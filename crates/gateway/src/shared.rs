//! What every worker of the gateway shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hostler_benchmark::Benchmarks;
use hostler_protocol::{ModelId, RequestError};
use hostler_router::{Router, ServedModel};
use hostler_telemetry::{Exporter, Gauge, catalogue};

use crate::auth::Keys;
use crate::error::shortened;
use crate::limits::MODEL_NAME_BYTES_MAX;
use crate::{ClusterView, GatewayConfig};

/// Handed to every handler as `web::Data<Shared>`.
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) benchmarks: Benchmarks,
    pub(crate) cluster: Arc<dyn ClusterView>,
    pub(crate) exporter: Exporter,
    pub(crate) config: GatewayConfig,
    pub(crate) keys: Keys,
    pub(crate) in_flight: Gauge,
    pub(crate) started: Instant,
    /// Seconds since 1970 at which the gateway started.
    pub(crate) started_unix: u64,
    leaving: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        config: GatewayConfig,
        router: Router,
        benchmarks: Benchmarks,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> Self {
        Self {
            router,
            benchmarks,
            cluster,
            exporter,
            keys: Keys::new(&config.api_keys),
            config,
            in_flight: catalogue::HTTP_IN_FLIGHT.gauge(&[]),
            started: Instant::now(),
            started_unix: unix_seconds(),
            leaving: AtomicBool::new(false),
        }
    }

    /// From now on the gateway is not ready any more, and no connection outlives the
    /// answer under way on it.
    pub(crate) fn begin_to_leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// The model that a request means: the one that it names, or the only one.
    pub(crate) fn model(&self, name: Option<&str>) -> Result<ServedModel, RequestError> {
        let mut models = self.router.models();
        let Some(name) = name else {
            return match models.len() {
                0 => Err(RequestError::unavailable("no model is served yet")),
                1 => Ok(models.remove(0)),
                _ => Err(RequestError::invalid(
                    "model",
                    format!("model is missing, and several are served: {}", names(&models)),
                )),
            };
        };
        match models.iter().position(|served| served.model.as_str() == name) {
            Some(index) => Ok(models.swap_remove(index)),
            None => Err(RequestError::unknown_model(
                &shortened(name, MODEL_NAME_BYTES_MAX),
                models.iter().map(|served| served.model.as_str()),
            )),
        }
    }

    /// [`Shared::model`], where only the name matters.
    pub(crate) fn model_id(&self, name: Option<&str>) -> Result<ModelId, RequestError> {
        self.model(name).map(|served| served.model)
    }
}

fn names(models: &[ServedModel]) -> String {
    models.iter().map(|served| served.model.as_str()).collect::<Vec<_>>().join(", ")
}

/// Seconds since 1970, as OpenAI's `created` fields count; 0 on a clock before that.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
