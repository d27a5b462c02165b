//! The output channel of a sequence.
//!
//! The channel has capacity for every event that the sequence may produce, so an
//! engine never waits for a slow reader. The engine holds the [`TokenSink`], the
//! client the [`TokenStream`]. Dropping the stream asks the engine to stop. Dropping
//! the sink before it has ended reports an engine failure to the client.

mod sink;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use hostler_protocol::{ErrorCode, FinishReason, Timings, TokenEvent, Usage};
use tokio::sync::mpsc;

pub use sink::{TokenSink, token_channel};

/// Observes a sequence. The engine's thread calls it, so it must be fast and must
/// not block.
pub trait SequenceObserver: Send {
    /// The engine started the sequence after `queue` in the queue.
    fn started(&mut self, queue: Duration);

    /// The sequence produced its `index`-th token (from 0), `gap` after the previous
    /// token (or after its start).
    fn token(&mut self, index: u32, gap: Duration);

    /// The sequence ended. Called exactly once, after the last event was sent.
    fn ended(&mut self, report: &EndReport);
}

/// How a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndReport {
    /// Success or error.
    pub state: EndState,
    /// Prompt and completion tokens.
    pub usage: Usage,
    /// Time spent in the queue, in prefill and in decode.
    pub timings: Timings,
    /// Whether the engine started it.
    pub started: bool,
}

/// Whether a sequence ended in success or in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// The sequence finished, for this reason.
    Finished(FinishReason),
    /// The sequence failed.
    Failed(ErrorCode),
}

/// Asks a sequence to stop. Clones refer to the same sequence.
#[derive(Clone, Debug)]
pub struct CancelHandle(Arc<CancelState>);

/// Why a sequence must stop; `cancelled` takes precedence.
#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    timed_out: AtomicBool,
}

impl CancelHandle {
    /// Cancels the sequence: the client no longer wants the answer.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Stops the sequence because its deadline has passed.
    pub fn time_out(&self) {
        self.0.timed_out.store(true, Ordering::Relaxed);
    }

    /// Why the sequence must stop; `None` while it may continue.
    #[must_use]
    pub fn reason(&self) -> Option<ErrorCode> {
        if self.0.cancelled.load(Ordering::Relaxed) {
            Some(ErrorCode::Cancelled)
        } else if self.0.timed_out.load(Ordering::Relaxed) {
            Some(ErrorCode::DeadlineExceeded)
        } else {
            None
        }
    }
}

/// The events of a sequence, in order; the stream ends after `Finished` or `Failed`.
/// Dropping it cancels the sequence.
#[derive(Debug)]
pub struct TokenStream {
    receiver: mpsc::Receiver<TokenEvent>,
    cancel: CancelHandle,
}

impl TokenStream {
    /// The next event; `None` after the final one.
    pub async fn next_event(&mut self) -> Option<TokenEvent> {
        self.receiver.recv().await
    }

    /// The next event, for threads that may block.
    pub fn blocking_next_event(&mut self) -> Option<TokenEvent> {
        self.receiver.blocking_recv()
    }

    /// A handle that cancels this sequence.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }
}

impl Stream for TokenStream {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        self.receiver.poll_recv(context)
    }
}
