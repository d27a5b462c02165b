//! The token events of a request at a worker.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use hostler_protocol::{RequestError, TokenEvent};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, Streaming};

use super::call::CallGuard;
use crate::wire::{self, proto};

/// What a request holds while it runs.
pub(super) struct RunningCall {
    pub(super) replies: Streaming<proto::GenerateReply>,
    pub(super) guard: CallGuard,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// The events of one request. If the worker is lost, the stream ends with `Unavailable`: nothing is
/// known of its engine, and the request may be sent again.
pub(super) struct RemoteStream {
    /// Dropped after the last event.
    call: Option<RunningCall>,
    received: VecDeque<proto::TokenEvent>,
}

impl RemoteStream {
    pub(super) fn new(call: RunningCall, received: Vec<proto::TokenEvent>) -> Self {
        Self { call: Some(call), received: received.into() }
    }

    /// The events of the next reply, or the event that ends the stream.
    fn poll_replies(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<proto::TokenEvent>, TokenEvent>> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let reply = Pin::new(&mut call.replies).poll_next(context);
        match reply {
            Poll::Ready(Some(Ok(reply))) => Poll::Ready(Ok(reply.events)),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Err(lost(&broken(&status)))),
            Poll::Ready(None) => Poll::Ready(Err(lost("the worker ended the answer without a final event"))),
            Poll::Pending => call.guard.poll_cut_off(context).map(|why| Err(lost(&why))),
        }
    }
}

fn lost(why: &str) -> TokenEvent {
    TokenEvent::Failed(RequestError::unavailable(why))
}

fn broken(status: &Status) -> String {
    format!("the connection to the worker broke: {}", wire::describe(status))
}

impl Stream for RemoteStream {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        loop {
            if self.call.is_none() {
                return Poll::Ready(None);
            }
            let event = match self.received.pop_front() {
                Some(event) => {
                    wire::event_from_proto(event).unwrap_or_else(|malformed| TokenEvent::Failed(malformed.into()))
                }
                None => match self.poll_replies(context) {
                    Poll::Ready(Ok(events)) => {
                        self.received.extend(events);
                        continue;
                    }
                    Poll::Ready(Err(event)) => event,
                    Poll::Pending => return Poll::Pending,
                },
            };
            if matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_)) {
                self.call = None;
            }
            return Poll::Ready(Some(event));
        }
    }
}
