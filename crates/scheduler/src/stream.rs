//! The stream that a client reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::Recipient;
use futures::Stream;
use hostler_executor::TokenStream;
use hostler_protocol::{RequestError, TokenEvent};

use crate::active::ActiveRequest;
use crate::messages::CancelSequence;
use crate::state::Ticket;

/// The events of the engine's sink. The scheduler can end it through the
/// [`ActiveRequest`], so it also ends while the engine hangs. Dropping it cancels the
/// request: a queued one leaves the queue at once, a running one stops at the next step.
pub(crate) struct ClientStream {
    tokens: TokenStream,
    request: Arc<ActiveRequest>,
    ticket: Ticket,
    actor: Recipient<CancelSequence>,
    ended: bool,
}

impl ClientStream {
    pub(crate) fn new(
        tokens: TokenStream,
        request: Arc<ActiveRequest>,
        ticket: Ticket,
        actor: Recipient<CancelSequence>,
    ) -> Self {
        Self { tokens, request, ticket, actor, ended: false }
    }

    /// The final event of a failed request. The scheduler's error takes precedence: it says
    /// why the engine was asked to stop.
    fn failed(&self, error: Option<RequestError>) -> TokenEvent {
        let error = self.request.cut_off.get().cloned().or(error);
        TokenEvent::Failed(error.unwrap_or_else(RequestError::ended_without_final_event))
    }
}

impl Stream for ClientStream {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = match Pin::new(&mut self.tokens).poll_next(context) {
            Poll::Ready(Some(TokenEvent::Failed(error))) => self.failed(Some(error)),
            Poll::Ready(Some(event)) => event,
            Poll::Ready(None) => self.failed(None),
            Poll::Pending => match self.request.cut_off.poll(context) {
                Poll::Ready(error) => TokenEvent::Failed(error),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.ended = matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_));
        Poll::Ready(Some(event))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if !self.ended {
            self.tokens.cancel_handle().cancel();
            self.actor.do_send(CancelSequence { ticket: self.ticket });
        }
    }
}
