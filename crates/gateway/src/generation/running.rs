//! Several generations as one stream of events.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::{FutureExt, Stream};
use hostler_protocol::{Deadline, Dialect, ErrorCode, RequestError, TokenEvent};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::limits::DEADLINE_GRACE;

/// What a generation produces.
pub(super) struct Events {
    pub(super) stream: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
    pub(super) origin: Origin,
}

/// What the text of an answer depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The model's.
    pub(crate) dialect: Dialect,
    /// The answer starts within the reasoning.
    pub(crate) starts_in_reasoning: bool,
}

/// Submits the generation of a choice.
pub(super) type Submit = Box<dyn Fn(usize) -> Submission>;

/// A generation that no scheduler has taken yet.
pub(super) type Submission = LocalBoxFuture<'static, Result<Events, RequestError>>;

/// The generations of one request, of which some may wait until others have ended. Dropping it
/// cancels those that have not ended.
pub(crate) struct RunningChoices {
    choices: Vec<Choice>,
    /// The choices that are submitted when another one ends, in order.
    waiting: VecDeque<usize>,
    /// The origins of the choices that have been admitted.
    origins: Vec<Origin>,
    submit: Submit,
    /// The choice that is polled first next time, so that none starves.
    next: usize,
    overdue: Option<Pin<Box<Sleep>>>,
}

enum Choice {
    Waiting,
    Submitted(Submission),
    Running(Pin<Box<dyn Stream<Item = TokenEvent> + Send>>),
    Ended,
}

impl RunningChoices {
    /// `admitted` are those that schedulers have taken; the other ones of `count` wait.
    pub(super) fn new(
        count: usize,
        admitted: impl Iterator<Item = (usize, Events)>,
        submit: Submit,
        deadline: Option<Deadline>,
    ) -> Self {
        let mut choices: Vec<Choice> = std::iter::repeat_with(|| Choice::Waiting).take(count).collect();
        let mut origins = vec![Origin::default(); count];
        for (index, Events { stream, origin }) in admitted {
            choices[index] = Choice::Running(stream);
            origins[index] = origin;
        }
        let waiting = (0..count).filter(|&index| matches!(choices[index], Choice::Waiting)).collect();
        let overdue = deadline.map(|deadline| Box::pin(sleep_until(overdue_at(deadline))));
        Self { choices, waiting, origins, submit, next: 0, overdue }
    }

    /// The origin of a choice that has produced an event.
    pub(super) fn origin(&self, choice: usize) -> &Origin {
        &self.origins[choice]
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
            if let Choice::Submitted(submitted) = &mut self.choices[index] {
                match submitted.as_mut().poll(context) {
                    Poll::Ready(Ok(Events { stream, origin })) => {
                        self.choices[index] = Choice::Running(stream);
                        self.origins[index] = origin;
                    }
                    Poll::Ready(Err(error)) if error.code == ErrorCode::Overloaded && self.others_run(index) => {
                        // It fits when another one has ended.
                        self.choices[index] = Choice::Waiting;
                        self.waiting.push_front(index);
                    }
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Some((index, self.take(index, Some(TokenEvent::Failed(error))))));
                    }
                    Poll::Pending => {}
                }
            }
            match &mut self.choices[index] {
                Choice::Running(events) => {
                    running = Some(index);
                    if let Poll::Ready(event) = events.as_mut().poll_next(context) {
                        self.next = index + 1;
                        return Poll::Ready(Some((index, self.take(index, event))));
                    }
                }
                Choice::Submitted(_) => running = Some(index),
                Choice::Waiting | Choice::Ended => {}
            }
        }
        let Some(index) = running else { return Poll::Ready(None) };
        match self.overdue.as_mut().map(|overdue| overdue.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Some((index, self.take(index, Some(TokenEvent::Failed(lost())))))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    fn others_run(&self, index: usize) -> bool {
        self.choices.iter().enumerate().any(|(other, choice)| other != index && matches!(choice, Choice::Running(_)))
    }

    /// Passes an event on, drops the choice that it ends, and submits the next one.
    fn take(&mut self, index: usize, event: Option<TokenEvent>) -> TokenEvent {
        let event = event.unwrap_or_else(|| TokenEvent::Failed(RequestError::ended_without_final_event()));
        if matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_)) {
            self.choices[index] = Choice::Ended;
            if let Some(next) = self.waiting.pop_front() {
                self.choices[next] = Choice::Submitted((self.submit)(next));
            }
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
        TokenEvent::Finished(Finish {
            reason: FinishReason::Stop,
            text: String::new(),
            stop_sequence: None,
            usage,
            timings,
        })
    }

    fn events(events: Vec<TokenEvent>) -> Events {
        Events { stream: Box::pin(stream::iter(events)), origin: Origin::default() }
    }

    fn running(choices: Vec<Vec<TokenEvent>>) -> RunningChoices {
        let choices: Vec<_> = choices.into_iter().map(|one| Choice::Running(events(one).stream)).collect();
        let origins = vec![Origin::default(); choices.len()];
        let submit: Submit = Box::new(|_| panic!("no choice waits"));
        RunningChoices { choices, waiting: VecDeque::new(), origins, submit, next: 0, overdue: None }
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
    async fn a_choice_is_submitted_when_another_ends_and_waits_while_it_does_not_fit() {
        let full = || RequestError::new(ErrorCode::Overloaded, "full");
        let refusals = std::cell::Cell::new(1);
        let submit: Submit = Box::new(move |index| {
            let refused = index == 2 && refusals.replace(0) == 1;
            let submitted = if refused { Err(full()) } else { Ok(events(vec![token(index as u32), finished()])) };
            std::future::ready(submitted).boxed_local()
        });
        let first = [(0, events(vec![finished()])), (1, events(vec![token(1), token(1), finished()]))];
        let mut running = RunningChoices::new(4, first.into_iter(), submit, None);
        let mut ended = Vec::new();
        while let Some((index, event)) = running.next().await {
            assert!(!matches!(event, TokenEvent::Failed(_)), "{event:?}");
            if matches!(event, TokenEvent::Finished(_)) {
                ended.push(index);
            }
        }
        assert_eq!(ended, [0, 1, 2, 3]);

        let submit: Submit = Box::new(move |_| std::future::ready(Err(full())).boxed_local());
        let mut alone = RunningChoices::new(2, [(0, events(vec![finished()]))].into_iter(), submit, None);
        assert!(matches!(alone.next().await, Some((0, TokenEvent::Finished(_)))));
        let Some((1, TokenEvent::Failed(error))) = alone.next().await else { panic!("nothing else will end") };
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(alone.next().await, None);
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
            choices: vec![Choice::Running(Box::pin(stream::pending()))],
            overdue: Some(Box::pin(sleep_until(overdue_at(deadline)))),
            ..running(Vec::new())
        };
        let Some((0, TokenEvent::Failed(error))) = running.next().await else { panic!("it must fail") };
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    }
}
