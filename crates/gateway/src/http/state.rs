//! What all worker threads of the gateway share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix_web::{HttpRequest, web};
use hostler_benchmark::Benchmarks;
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{Router, ServedModel};
use hostler_telemetry::{Exporter, Gauge, catalogue};
use regex::RegexSet;

use super::audit::Audit;
use super::error::shortened;
use super::key_store::Keys;
use super::limits::MODEL_NAME_BYTES_MAX;
use super::tls::Certificate;
use crate::stored::Responses;
use crate::{ClusterView, ServerConfig};

/// The application state that every handler gets as `web::Data<AppState>`.
pub(crate) struct AppState {
    pub(crate) router: Router,
    pub(crate) benchmarks: Benchmarks,
    pub(crate) cluster: Arc<dyn ClusterView>,
    pub(crate) exporter: Exporter,
    pub(crate) config: ServerConfig,
    pub(crate) keys: Arc<Keys>,
    pub(super) audit: Audit,
    /// `None`: plain HTTP.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// `server.system_lines_removed`
    pub(crate) system_lines_removed: RegexSet,
    /// `None`: responses are not stored.
    pub(crate) responses: Option<Arc<Responses>>,
    pub(super) in_flight: Gauge,
    pub(crate) started: Instant,
    /// When the gateway started, in seconds since 1970.
    pub(crate) started_unix: u64,
    leaving: AtomicBool,
}

impl AppState {
    /// # Errors
    /// The key file, the certificate or a regular expression is invalid, or the audit file or the
    /// folder of stored responses cannot be opened.
    pub(crate) fn new(
        config: ServerConfig,
        router: Router,
        benchmarks: Benchmarks,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> io::Result<Self> {
        Ok(Self {
            router,
            benchmarks,
            cluster,
            exporter,
            keys: Arc::new(Keys::open(&config)?),
            certificate: Certificate::open(&config.tls)?,
            audit: Audit::open(config.audit_file.as_deref())?,
            system_lines_removed: RegexSet::new(&config.system_lines_removed).map_err(io::Error::other)?,
            responses: Responses::open(&config.responses)?,
            config,
            in_flight: catalogue::HTTP_IN_FLIGHT.gauge(&[]),
            started: Instant::now(),
            started_unix: unix_seconds(),
            leaving: AtomicBool::new(false),
        })
    }

    /// The state, for extractors.
    ///
    /// # Errors
    /// `Internal`, if the application was built without it.
    pub(crate) fn of(request: &HttpRequest) -> Result<&web::Data<Self>, RequestError> {
        let state = request.app_data::<web::Data<Self>>();
        state.ok_or_else(|| RequestError::new(ErrorCode::Internal, "the application has no state"))
    }

    /// Makes the gateway unready. From now on, each connection closes after its current
    /// response.
    pub(super) fn begin_to_leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// A served model, for probes.
    pub(crate) fn any_model(&self, name: &str) -> Result<ServedModel, RequestError> {
        choose(self.router.models(), |_| true, Some(name))
    }
}

/// The model of this name, or the only one if there is no name, of those that are `allowed`.
///
/// # Errors
/// There is no such model, or several and no name.
pub(super) fn choose(
    mut models: Vec<ServedModel>,
    allowed: impl Fn(&ServedModel) -> bool,
    name: Option<&str>,
) -> Result<ServedModel, RequestError> {
    // Nothing is known before the first worker has joined, so the model may well be served.
    if models.is_empty() {
        return Err(RequestError::unavailable("no model is served yet"));
    }
    models.retain(allowed);
    let Some(name) = name else {
        return match models.len() {
            0 => Err(RequestError::unavailable("no model is served yet")),
            1 => Ok(models.remove(0)),
            _ => Err(RequestError::invalid(
                "model",
                format!("model is required, because several are served: {}", names(&models)),
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

fn names(models: &[ServedModel]) -> String {
    models.iter().map(|served| served.model.as_str()).collect::<Vec<_>>().join(", ")
}

/// Seconds since 1970, as OpenAI's `created` fields count; 0 if the clock is set before that.
pub(crate) fn unix_seconds() -> u64 {
    hostler_util::unix_time().as_secs()
}
