//! The events of an answer as its client reads them. For a client that reads more slowly than its
//! scheduler generates, the router reads ahead, so that a finished generation does not count as
//! load at its scheduler. A client that has not read its answer by the deadline loses it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use futures::Stream;
use futures::task::AtomicWaker;
use hostler_protocol::{Deadline, RequestError, TokenEvent};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval};

/// How often slow readers are looked for. A client that has left events unread for this long is
/// one; a finished generation counts as load for at most twice as long.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Schedulers end a request at its deadline, and a client that reads gets that error. An answer
/// that has not been read this long after its deadline is lost.
const DEADLINE_GRACE: Duration = Duration::from_secs(5);

type Events = Pin<Box<dyn Stream<Item = TokenEvent> + Send>>;

/// The answers that are being read.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<Watched>>);

/// An answer, and how often its client had read when it was last checked.
struct Watched {
    answer: Weak<Answer>,
    reads: u64,
}

impl Readers {
    /// The checks run on `arbiter` until this is dropped.
    pub(crate) fn start(arbiter: &ArbiterHandle) -> Arc<Self> {
        let readers = Arc::new(Self::default());
        let checked = Arc::downgrade(&readers);
        arbiter.spawn(async move {
            let mut ticks = interval(CHECK_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(readers) = checked.upgrade() else { return };
                readers.check(Instant::now());
            }
        });
        readers
    }

    /// The stream that the client reads. The permit is released when the client has read the last
    /// event, drops the stream, or loses it.
    pub(crate) fn read(
        &self,
        events: Events,
        deadline: Option<Deadline>,
        permit: OwnedSemaphorePermit,
    ) -> AnswerReader {
        let unread = Unread { events: Some(events), ahead: VecDeque::new(), permit: Some(permit) };
        let answer = Arc::new(Answer {
            deadline,
            unread: Mutex::new(unread),
            is_ready: AtomicBool::new(true),
            reads: AtomicU64::new(0),
            client: AtomicWaker::new(),
        });
        self.0.lock().push(Watched { answer: Arc::downgrade(&answer), reads: 0 });
        AnswerReader(answer)
    }

    /// Reads ahead for the clients that have not read what is ready since the last check.
    fn check(&self, now: Instant) {
        let mut slow = Vec::new();
        self.0.lock().retain_mut(|watched| {
            let Some(answer) = watched.answer.upgrade() else { return false };
            let reads = answer.reads.load(Ordering::Relaxed);
            if reads == std::mem::replace(&mut watched.reads, reads) && answer.is_ready.load(Ordering::Acquire) {
                slow.push(answer);
            }
            true
        });
        for answer in slow {
            answer.read_ahead();
            answer.check_deadline(now);
        }
    }
}

/// An answer between its scheduler and its client.
struct Answer {
    deadline: Option<Deadline>,
    unread: Mutex<Unread>,
    /// Whether there may be an event that the client has not read.
    is_ready: AtomicBool,
    /// How often the client has read.
    reads: AtomicU64,
    client: AtomicWaker,
}

struct Unread {
    /// `None` after the last event.
    events: Option<Events>,
    /// Events that the client has not read, before those of `events`.
    ahead: VecDeque<TokenEvent>,
    /// Held until the client has read the last event.
    permit: Option<OwnedSemaphorePermit>,
}

impl Wake for Answer {
    fn wake(self: Arc<Self>) {
        self.is_ready.store(true, Ordering::Release);
        self.client.wake();
    }
}

impl Answer {
    /// The next event from the scheduler, for the client or ahead of it.
    fn poll_events(self: &Arc<Self>, unread: &mut Unread) -> Poll<Option<TokenEvent>> {
        let Some(events) = &mut unread.events else { return Poll::Ready(None) };
        // Cleared before the poll, so that an event that comes during it is not missed.
        self.is_ready.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(self));
        let event = events.as_mut().poll_next(&mut Context::from_waker(&waker));
        if let Poll::Ready(event) = &event {
            self.is_ready.store(true, Ordering::Release);
            if event.as_ref().is_none_or(is_last) {
                unread.events = None;
            }
        }
        event
    }

    fn read_ahead(self: &Arc<Self>) {
        let unread = &mut *self.unread.lock();
        while let Poll::Ready(Some(event)) = self.poll_events(unread) {
            unread.ahead.push_back(event);
        }
        // The client has something to read even if the scheduler has not.
        self.is_ready.store(true, Ordering::Release);
    }

    fn check_deadline(&self, now: Instant) {
        let is_over = |deadline: Deadline| now.saturating_duration_since(deadline.instant()) >= DEADLINE_GRACE;
        if !self.deadline.is_some_and(is_over) {
            return;
        }
        let lost = {
            let mut unread = self.unread.lock();
            if unread.permit.take().is_none() {
                return;
            }
            let end = TokenEvent::Failed(RequestError::deadline_passed("before the client had read its answer"));
            let ahead = std::mem::replace(&mut unread.ahead, VecDeque::from([end]));
            (unread.events.take(), ahead)
        };
        // Cancels the request, if it still runs, outside the lock.
        drop(lost);
        self.client.wake();
    }
}

fn is_last(event: &TokenEvent) -> bool {
    matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_))
}

/// The client's end of an answer. Dropping it cancels the request.
pub(crate) struct AnswerReader(Arc<Answer>);

impl Stream for AnswerReader {
    type Item = TokenEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let answer = &self.0;
        answer.reads.fetch_add(1, Ordering::Relaxed);
        answer.client.register(context.waker());
        let unread = &mut *answer.unread.lock();
        let event = match unread.ahead.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => answer.poll_events(unread),
        };
        if matches!(&event, Poll::Ready(event) if event.as_ref().is_none_or(is_last)) {
            unread.permit = None;
        }
        event
    }
}

impl Drop for AnswerReader {
    fn drop(&mut self) {
        // The events hold a waker, and with it the answer. Dropped outside the lock.
        let unread = {
            let mut unread = self.0.unread.lock();
            (unread.events.take(), unread.permit.take())
        };
        drop(unread);
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use hostler_protocol::{Finish, FinishReason, Timings, Token, Usage};
    use tokio::sync::Semaphore;

    use super::*;

    fn token(id: u32) -> TokenEvent {
        TokenEvent::Token(Token { id, text: String::new(), logprob: None })
    }

    fn finished() -> TokenEvent {
        let (usage, timings) = (Usage::default(), Timings::default());
        let text = String::new();
        TokenEvent::Finished(Finish { reason: FinishReason::Stop, text, stop_sequence: None, usage, timings })
    }

    struct Setup {
        readers: Readers,
        permits: Arc<Semaphore>,
        scheduler: UnboundedSender<TokenEvent>,
        client: AnswerReader,
        now: Instant,
    }

    /// An answer whose deadline is in ten seconds.
    fn setup() -> Setup {
        let (scheduler, events) = unbounded();
        let (readers, permits, now) = (Readers::default(), Arc::new(Semaphore::new(1)), Instant::now());
        let permit = Arc::clone(&permits).try_acquire_owned().expect("there is one");
        let client = readers.read(Box::pin(events), Deadline::after(now, Duration::from_secs(10)), permit);
        Setup { readers, permits, scheduler, client, now }
    }

    fn send(setup: &Setup, event: TokenEvent) {
        setup.scheduler.unbounded_send(event).expect("it is read");
    }

    #[tokio::test]
    async fn a_finished_answer_is_taken_from_its_scheduler_although_its_client_does_not_read() {
        let mut setup = setup();
        (1..=3).map(token).chain([finished()]).for_each(|event| send(&setup, event));
        assert_eq!(setup.client.next().await, Some(token(1)));
        setup.readers.check(setup.now);
        assert!(!setup.scheduler.is_closed(), "the client has just read");
        setup.readers.check(setup.now);
        assert!(setup.scheduler.is_closed(), "the scheduler's stream is dropped after its last event");
        assert_eq!(setup.permits.available_permits(), 0, "the client has not read it");
        let rest: Vec<_> = (&mut setup.client).collect().await;
        assert_eq!(rest, [token(2), token(3), finished()]);
        assert_eq!(setup.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_client_that_waits_gets_what_comes_after_a_check() {
        let mut setup = setup();
        let mut next = setup.client.next();
        assert!(futures::poll!(&mut next).is_pending());
        setup.readers.check(setup.now);
        setup.readers.check(setup.now);
        setup.scheduler.unbounded_send(token(1)).expect("it is read");
        assert_eq!(next.await, Some(token(1)));
    }

    #[tokio::test]
    async fn events_that_come_after_reading_ahead_follow_in_order() {
        let mut setup = setup();
        send(&setup, token(1));
        for _ in 0..2 {
            setup.readers.check(setup.now);
        }
        send(&setup, token(2));
        setup.readers.check(setup.now);
        send(&setup, token(3));
        send(&setup, finished());
        let all: Vec<_> = (&mut setup.client).collect().await;
        assert_eq!(all, [token(1), token(2), token(3), finished()]);
    }

    #[tokio::test]
    async fn a_client_that_has_not_read_by_the_deadline_loses_its_answer_and_its_permit() {
        for is_finished in [true, false] {
            let mut setup = setup();
            send(&setup, token(1));
            if is_finished {
                send(&setup, finished());
            }
            setup.readers.check(setup.now + Duration::from_secs(10));
            assert_eq!(setup.permits.available_permits(), 0, "it may have the schedulers' error within the grace");
            setup.readers.check(setup.now + Duration::from_secs(10) + DEADLINE_GRACE);
            assert_eq!(setup.permits.available_permits(), 1);
            assert!(setup.scheduler.is_closed(), "the request is cancelled");
            let Some(TokenEvent::Failed(error)) = setup.client.next().await else { panic!("it is lost") };
            assert!(error.message.contains("before the client had read"), "{error}");
            assert_eq!(setup.client.next().await, None);
        }
    }

    #[tokio::test]
    async fn a_dropped_reader_leaves_nothing() {
        let Setup { readers, permits, scheduler, mut client, now } = setup();
        assert!(futures::poll!(client.next()).is_pending());
        drop(client);
        assert!(scheduler.is_closed() && permits.available_permits() == 1);
        // The channel holds the waker until then.
        drop(scheduler);
        readers.check(now);
        assert!(readers.0.lock().is_empty());
    }
}
