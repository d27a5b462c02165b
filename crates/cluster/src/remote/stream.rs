//! What a request at a worker produces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use hostler_protocol::{ErrorCode, RequestError, TokenEvent};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, Streaming};

use super::cut::Entered;
use crate::wire::{self, proto};

/// What a request holds while it runs.
pub(super) struct Held {
    pub(super) replies: Streaming<proto::GenerateReply>,
    pub(super) entered: Entered,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// A worker's events. A connection that breaks is their end: with `EngineFailed` where
/// the engine had begun, as when an engine next door fails, else with `Unavailable`.
pub(super) struct RemoteStream {
    /// Given back after the last event.
    held: Option<Held>,
    ready: VecDeque<proto::TokenEvent>,
    has_begun: bool,
}

impl RemoteStream {
    pub(super) fn new(held: Held, ready: Vec<proto::TokenEvent>) -> Self {
        Self { held: Some(held), ready: ready.into(), has_begun: false }
    }

    fn lost(&self, why: &str) -> TokenEvent {
        let code = if self.has_begun { ErrorCode::EngineFailed } else { ErrorCode::Unavailable };
        TokenEvent::Failed(RequestError::new(code, why))
    }

    fn read(&self, event: proto::TokenEvent) -> TokenEvent {
        wire::event(event).unwrap_or_else(|malformed| TokenEvent::Failed(malformed.into()))
    }

    /// The next reply's events; or the event that ends it all.
    fn poll_replies(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<proto::TokenEvent>, TokenEvent>> {
        let Some(held) = &mut self.held else { return Poll::Pending };
        let reply = Pin::new(&mut held.replies).poll_next(context);
        match reply {
            Poll::Ready(Some(Ok(reply))) => Poll::Ready(Ok(reply.events)),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Err(self.lost(&broken(&status)))),
            Poll::Ready(None) => Poll::Ready(Err(self.lost("the worker ended the stream without a final event"))),
            Poll::Pending => held.entered.poll_cut(context).map(|why| Err(self.lost(&why))),
        }
    }
}

fn broken(status: &Status) -> String {
    format!("the connection to the worker broke: {}", wire::describe(status))
}

impl Stream for RemoteStream {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        loop {
            if self.held.is_none() {
                return Poll::Ready(None);
            }
            let event = match self.ready.pop_front() {
                Some(event) => self.read(event),
                None => match self.poll_replies(context) {
                    Poll::Ready(Ok(events)) => {
                        self.ready.extend(events);
                        continue;
                    }
                    Poll::Ready(Err(event)) => event,
                    Poll::Pending => return Poll::Pending,
                },
            };
            match event {
                TokenEvent::Started(_) | TokenEvent::Token(_) => self.has_begun = true,
                TokenEvent::Finished(_) | TokenEvent::Failed(_) => self.held = None,
            }
            return Poll::Ready(Some(event));
        }
    }
}
