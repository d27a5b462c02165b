//! The stream that a client reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::Recipient;
use futures::Stream;
use hostler_executor::TokenStream;
use hostler_protocol::{RequestError, TokenEvent};

use crate::life::Life;
use crate::messages::CancelSequence;
use crate::state::Ticket;

/// What the engine produces, ended by the engine or, where that hangs or the
/// request is over for another reason, by the scheduler. Dropping it cancels the
/// request in whichever state it is: a queued one leaves the queue at once.
pub(crate) struct ClientStream {
    tokens: TokenStream,
    life: Arc<Life>,
    ticket: Ticket,
    scheduler: Recipient<CancelSequence>,
    ended: bool,
}

impl ClientStream {
    pub(crate) fn new(
        tokens: TokenStream,
        life: Arc<Life>,
        ticket: Ticket,
        scheduler: Recipient<CancelSequence>,
    ) -> Self {
        Self { tokens, life, ticket, scheduler, ended: false }
    }

    /// The last event of a request whose engine end is gone.
    fn last_word(&self, error: Option<RequestError>) -> TokenEvent {
        let error = self.life.cut_with().cloned().or(error);
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
            Poll::Ready(Some(TokenEvent::Failed(error))) => self.last_word(Some(error)),
            Poll::Ready(Some(event)) => event,
            Poll::Ready(None) => self.last_word(None),
            Poll::Pending => match self.life.poll_cut(context) {
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
            self.scheduler.do_send(CancelSequence { ticket: self.ticket });
        }
    }
}
