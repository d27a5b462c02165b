//! What the client's stream, the engine's observer and the actor share about a request.
//!
//! While the engine works, its sink ends the client's stream. If the engine hangs, the
//! sink never ends, and the scheduler ends the stream through the [`ActiveRequest`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hostler_protocol::RequestError;
use hostler_util::{CutOff, CutOffRegistry};

use crate::state::Ticket;

/// The requests of one engine whose sinks have not ended. Closed when the engine is given
/// up: a request that enters later would never be answered.
pub(crate) type ActiveRequests = CutOffRegistry<Ticket, Arc<ActiveRequest>, ()>;

/// A request from its submission until its sink has ended.
#[derive(Debug, Default)]
pub(crate) struct ActiveRequest {
    /// Ends the client's stream with an error, after the events already in its channel.
    pub(crate) cut_off: CutOff<RequestError>,
    in_engine: AtomicBool,
    started: AtomicBool,
    counted: AtomicBool,
    generated: AtomicU32,
}

impl ActiveRequest {
    /// Records that the engine has the request, so that its sink reports an end.
    pub(crate) fn set_in_engine(&self) {
        self.in_engine.store(true, Ordering::Release);
    }

    /// Whether the engine has or had the request.
    pub(crate) fn in_engine(&self) -> bool {
        self.in_engine.load(Ordering::Acquire)
    }

    /// Records that the engine has started it: from now on it counts as failed by the
    /// engine if the engine fails.
    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Whether the engine has started it.
    pub(crate) fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Counts a generated token.
    pub(crate) fn add_token(&self) {
        self.generated.fetch_add(1, Ordering::Relaxed);
    }

    /// Tokens generated so far.
    pub(crate) fn generated(&self) -> u32 {
        self.generated.load(Ordering::Relaxed)
    }

    /// True for the first caller, which counts the request's end in the metrics.
    pub(crate) fn count_once(&self) -> bool {
        !self.counted.swap(true, Ordering::AcqRel)
    }
}
