//! A stream that holds something until it ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use hostler_protocol::TokenEvent;

use crate::handle::Held;

/// A request's events, and with them what it holds: its permit and its place in
/// the counts. They are given back after the last event, or when the stream is
/// dropped, whichever is first: a reader that keeps a finished stream keeps nothing else.
pub(crate) struct Guarded {
    events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
    held: Option<Held>,
}

impl Guarded {
    pub(crate) fn new(events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>, held: Held) -> Self {
        Self { events, held: Some(held) }
    }
}

impl Stream for Guarded {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let event = self.events.as_mut().poll_next(context);
        if matches!(event, Poll::Ready(None | Some(TokenEvent::Finished(_) | TokenEvent::Failed(_)))) {
            self.held = None;
        }
        event
    }
}
