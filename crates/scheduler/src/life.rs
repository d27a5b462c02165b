//! What the client, the engine and the scheduler share about one request.
//!
//! The engine's sink and the client's stream are bound to each other, and that is
//! enough while the engine lives. A [`Life`] is what remains when it hangs: by it
//! the scheduler ends the client's stream itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use hostler_protocol::{ErrorCode, RequestError};

use crate::state::Ticket;

/// One request, from its admission until its sink has ended.
#[derive(Debug, Default)]
pub(crate) struct Life {
    cut: OnceLock<RequestError>,
    reader: AtomicWaker,
    handed_over: AtomicBool,
    begun: AtomicBool,
    counted: AtomicBool,
    generated: AtomicU32,
}

impl Life {
    /// Ends the client's stream with this error, after the events that are
    /// already on their way. The first error stands.
    pub(crate) fn cut(&self, error: RequestError) {
        if self.cut.set(error).is_ok() {
            self.reader.wake();
        }
    }

    /// The error that the stream was cut with, if it was.
    pub(crate) fn cut_with(&self) -> Option<&RequestError> {
        self.cut.get()
    }

    /// Waits for a cut.
    pub(crate) fn poll_cut(&self, context: &mut Context<'_>) -> Poll<RequestError> {
        if self.cut.get().is_none() {
            self.reader.register(context.waker());
        }
        // Asked again after registering, so that a cut in between is not missed.
        self.cut.get().map_or(Poll::Pending, |error| Poll::Ready(error.clone()))
    }

    /// The engine has it now, and will say when it ends.
    pub(crate) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    /// Whether the engine has, or had it.
    pub(crate) fn handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    /// The engine has begun it: from here on it cannot be sent elsewhere unseen.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// A token was generated.
    pub(crate) fn token(&self) {
        self.generated.fetch_add(1, Ordering::Relaxed);
    }

    /// Tokens generated so far.
    pub(crate) fn generated(&self) -> u32 {
        self.generated.load(Ordering::Relaxed)
    }

    /// Whether the caller is the first to count how this request ended.
    pub(crate) fn count_once(&self) -> bool {
        !self.counted.swap(true, Ordering::AcqRel)
    }
}

/// The requests whose sink has not ended, of one engine.
#[derive(Debug, Default)]
pub(crate) struct Lives(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    lives: HashMap<Ticket, Arc<Life>>,
    /// The engine is gone: nobody may enter any more, and hope for an answer.
    closed: bool,
}

impl Lives {
    /// Enters a request; false when the engine is gone.
    pub(crate) fn insert(&self, ticket: Ticket, life: Arc<Life>) -> bool {
        let mut registry = self.lock();
        if !registry.closed {
            registry.lives.insert(ticket, life);
        }
        !registry.closed
    }

    pub(crate) fn remove(&self, ticket: Ticket) {
        self.lock().lives.remove(&ticket);
    }

    /// Ends every request, whatever became of the engine and the actor, and
    /// closes. `count` hears the code of each that nobody has counted yet.
    ///
    /// Those that the engine had begun end with `begun`, the others with `queued`.
    pub(crate) fn end_all(&self, begun: &RequestError, queued: &RequestError, mut count: impl FnMut(ErrorCode)) {
        let lives = {
            let mut registry = self.lock();
            registry.closed = true;
            std::mem::take(&mut registry.lives)
        };
        for life in lives.into_values() {
            let error = if life.begun.load(Ordering::Acquire) { begun } else { queued };
            life.cut(error.clone());
            if life.count_once() {
                count(error.code);
            }
        }
    }

    /// A thread that panicked while it held the lock left a whole map behind:
    /// every change is a single call.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
