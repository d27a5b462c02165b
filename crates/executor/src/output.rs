//! How tokens leave an engine.
//!
//! A sequence's output is a channel that can hold all that it may ever produce:
//! an engine never waits for a reader, however slow. The engine holds the
//! [`TokenSink`], the client the [`TokenStream`]. Dropping the stream asks the
//! engine to stop; dropping the sink before its end is an engine failure, and the
//! client is told so. Neither side can forget the other.

mod sink;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, FinishReason, Timings, Usage};
use tokio::sync::mpsc;

pub use sink::TokenSink;
pub use stream::TokenStream;

use crate::Sequence;

/// Events of one sequence besides its tokens: its start and its end.
const EVENTS_BESIDE_TOKENS: usize = 2;

/// Hears what happens to a sequence, on the engine's own thread: so it must be
/// quick, and must not block.
pub trait SequenceObserver: Send {
    /// The engine took it; it had waited for `queue`.
    fn started(&mut self, queue: Duration);

    /// It produced its `index`-th token (from 0), `gap` after the one before (or
    /// after its start).
    fn token(&mut self, index: u32, gap: Duration);

    /// It ended. Called exactly once, whatever happens, with the last event
    /// already sent.
    fn ended(&mut self, report: &EndReport);
}

/// How a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndReport {
    /// In success or in an error.
    pub state: EndState,
    /// Tokens in and out.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
    /// Whether the engine began it at all.
    pub started: bool,
}

/// Success or error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// It finished, for this reason.
    Finished(FinishReason),
    /// It failed.
    Failed(ErrorCode),
}

/// Asks one sequence to stop. Clones ask the same sequence.
#[derive(Clone, Debug)]
pub struct CancelHandle(Arc<CancelState>);

/// Why a sequence shall stop; the first reason stands.
#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    timed_out: AtomicBool,
}

impl CancelHandle {
    /// Somebody no longer wants the answer.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Its deadline passed.
    pub fn time_out(&self) {
        self.0.timed_out.store(true, Ordering::Relaxed);
    }

    /// Why it shall stop, if it shall.
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

/// The two ends of a sequence's output. The time from here until
/// [`TokenSink::started`] counts as its time in the queue.
#[must_use]
pub fn token_channel(sequence: &Sequence, observer: Option<Box<dyn SequenceObserver>>) -> (TokenSink, TokenStream) {
    let capacity = sequence.max_new_tokens as usize + EVENTS_BESIDE_TOKENS;
    let (sender, receiver) = mpsc::channel(capacity);
    let cancel = CancelHandle(Arc::default());
    let prompt_tokens = u32::try_from(sequence.prompt().len()).unwrap_or(u32::MAX);
    let sink = TokenSink::new(sender, cancel.clone(), observer, prompt_tokens, Instant::now());
    (sink, TokenStream::new(receiver, cancel))
}
