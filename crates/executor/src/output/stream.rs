//! The client's end of a sequence's output.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use hostler_protocol::TokenEvent;
use tokio::sync::mpsc;

use super::CancelHandle;

/// A sequence's events, in order; it ends after `Finished` or `Failed`. Dropping
/// it cancels the sequence.
#[derive(Debug)]
pub struct TokenStream {
    receiver: mpsc::Receiver<TokenEvent>,
    cancel: CancelHandle,
}

impl TokenStream {
    pub(super) fn new(receiver: mpsc::Receiver<TokenEvent>, cancel: CancelHandle) -> Self {
        Self { receiver, cancel }
    }

    /// The next event; `None` after the last.
    pub async fn next_event(&mut self) -> Option<TokenEvent> {
        self.receiver.recv().await
    }

    /// The next event, from a thread that may block.
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
