//! Several generations as one stream of events.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{FutureExt, Stream};
use hostler_protocol::{Deadline, RequestError, TokenEvent};
use hostler_router::RoutedGeneration;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::limits::DEADLINE_GRACE;

type Events = Pin<Box<dyn Stream<Item = TokenEvent> + Send>>;

/// The running generations of one request. Dropping it cancels those that have not ended.
pub(crate) struct RunningChoices {
    /// By choice; `None` once it has ended.
    choices: Vec<Option<Events>>,
    /// The choice that is polled first next time, so that none starves.
    next: usize,
    overdue: Option<Pin<Box<Sleep>>>,
}

impl RunningChoices {
    pub(crate) fn new(generations: impl Iterator<Item = RoutedGeneration>, deadline: Option<Deadline>) -> Self {
        let overdue = deadline.map(|deadline| Box::pin(sleep_until(overdue_at(deadline))));
        Self { choices: generations.map(|generation| Some(generation.events)).collect(), next: 0, overdue }
    }

    /// The next event of any choice, with its index; `None` after all have ended.
    /// Every choice ends with `Finished` or `Failed`.
    pub(crate) async fn next(&mut self) -> Option<(usize, TokenEvent)> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next event, if one is ready.
    pub(crate) fn ready(&mut self) -> Option<(usize, TokenEvent)> {
        self.next().now_or_never().flatten()
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, TokenEvent)>> {
        let count = self.choices.len();
        let mut running = None;
        for offset in 0..count {
            let index = (self.next + offset) % count;
            let Some(events) = &mut self.choices[index] else { continue };
            running = Some(index);
            if let Poll::Ready(event) = events.as_mut().poll_next(context) {
                self.next = index + 1;
                return Poll::Ready(Some((index, self.take(index, event))));
            }
        }
        let Some(index) = running else { return Poll::Ready(None) };
        match self.overdue.as_mut().map(|overdue| overdue.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Some((index, self.take(index, Some(TokenEvent::Failed(lost())))))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    /// Passes an event on, and drops the choice that it ends.
    fn take(&mut self, index: usize, event: Option<TokenEvent>) -> TokenEvent {
        let event = event.unwrap_or_else(|| TokenEvent::Failed(RequestError::ended_without_final_event()));
        if matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_)) {
            self.choices[index] = None;
        }
        event
    }
}

/// When a scheduler that has not ended its request is considered lost.
pub(crate) fn overdue_at(deadline: Deadline) -> Instant {
    Instant::from_std(deadline.instant()) + DEADLINE_GRACE
}

/// The failure to report then.
pub(crate) fn lost() -> RequestError {
    let grace: Duration = DEADLINE_GRACE;
    RequestError::deadline_passed(format_args!("and its scheduler sent nothing for another {} s", grace.as_secs()))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use hostler_protocol::{ErrorCode, Finish, FinishReason, Timings, Token, Usage};

    use super::*;

    fn token(id: u32) -> TokenEvent {
        TokenEvent::Token(Token { id, text: String::new(), logprob: None })
    }

    fn finished() -> TokenEvent {
        let (usage, timings) = (Usage::default(), Timings::default());
        TokenEvent::Finished(Finish { reason: FinishReason::Stop, text: String::new(), usage, timings })
    }

    fn running(choices: Vec<Vec<TokenEvent>>) -> RunningChoices {
        let choices = choices.into_iter().map(|events| Some(Box::pin(stream::iter(events)) as Events)).collect();
        RunningChoices { choices, next: 0, overdue: None }
    }

    #[tokio::test]
    async fn choices_take_turns_and_all_of_them_end() {
        let mut running = running(vec![vec![token(1), token(2), finished()], vec![token(3), finished()]]);
        let mut order = Vec::new();
        while let Some((index, event)) = running.next().await {
            order.push((index, matches!(event, TokenEvent::Finished(_))));
        }
        assert_eq!(order, [(0, false), (1, false), (0, false), (1, true), (0, true)]);
        assert_eq!(running.ready(), None);
    }

    #[tokio::test]
    async fn a_stream_without_a_final_event_has_failed() {
        let mut running = running(vec![vec![token(1)]]);
        assert!(matches!(running.next().await, Some((0, TokenEvent::Token(_)))));
        let Some((0, TokenEvent::Failed(error))) = running.next().await else { panic!("it must fail") };
        assert_eq!(error.code, ErrorCode::EngineFailed);
        assert_eq!(running.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_fails_if_its_scheduler_does_not_end_it_by_the_deadline() {
        let deadline = Deadline::after(std::time::Instant::now(), Duration::from_secs(1)).expect("in range");
        let mut running = RunningChoices {
            choices: vec![Some(Box::pin(stream::pending()))],
            next: 0,
            overdue: Some(Box::pin(sleep_until(overdue_at(deadline)))),
        };
        let Some((0, TokenEvent::Failed(error))) = running.next().await else { panic!("it must fail") };
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    }
}
