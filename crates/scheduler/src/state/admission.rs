//! Who may enter the queue.

use std::time::{Duration, Instant};

use hostler_protocol::{Priority, RequestError};

use super::queue::Waiting;
use super::refusal::{not_serving, overloaded, too_late};
use super::{Demand, Effect, Lifecycle, State};

/// A tenant may hold so many times what it leaves free. One alone fills three
/// quarters of the queue, two greedy ones three sevenths each: there is always
/// room for one who was not there before. (Dynamic thresholds: Choudhury and
/// Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.)
const NEWCOMER_SHARE: u64 = 3;

/// The same for who comes back when told: up to seven eighths.
const RETURNER_SHARE: u64 = 7;

/// When to come back while nothing has been measured yet.
const RETRY_AFTER_UNMEASURED: Duration = Duration::from_secs(1);

impl State {
    /// A request arrives: it is in the queue, or even started, unless it is refused.
    ///
    /// # Errors
    /// `Unavailable` when nothing is taken, `InvalidRequest` when it can never
    /// run, `DeadlineExceeded`, or `Overloaded` with the time to come back and the
    /// estimated wait.
    pub fn submit(&mut self, now: Instant, demand: Demand) -> Result<Vec<Effect>, RequestError> {
        self.takes(&demand)?;
        self.limits.check(&demand)?;
        let patience = self.patience(now, &demand)?;
        let returns = self.appointments.redeem(now, demand.fingerprint);
        if !self.has_room(&demand, returns) {
            return Err(self.overloaded(now, &demand, "the queue is full", Duration::ZERO));
        }
        let wait = self.estimated_wait(demand.class).unwrap_or_default();
        if wait > patience && !self.queue.is_empty() {
            let why = format!(
                "the wait would be about {:.1} s, longer than {:.1} s",
                wait.as_secs_f64(),
                patience.as_secs_f64()
            );
            return Err(self.overloaded(now, &demand, &why, wait - patience));
        }
        let until =
            demand.deadline.map_or(now + self.config.wait_max, |deadline| deadline.min(now + self.config.wait_max));
        self.timers.insert((until, demand.ticket));
        self.queue.push(Waiting { demand, since: now, until });
        Ok(self.dispatch(now))
    }

    /// How long a request that arrives now would wait; `None` while nothing has
    /// been measured.
    #[must_use]
    pub fn estimated_wait(&self, class: Priority) -> Option<Duration> {
        if self.queue.is_empty() && self.batch.free_slots() > 0 {
            return Some(Duration::ZERO);
        }
        let ahead = Priority::ALL.into_iter().filter(|&other| other <= class);
        let queued: f64 = ahead.map(|class| self.rate.expected_of(self.queue.load(class))).sum();
        let running = self.batch.iter();
        let running: f64 = running.map(|demand| self.expected_work(demand)).sum();
        // Slots fall free one after the other: the first after one slot's share.
        self.rate.time_for(queued + running / f64::from(self.batch.slots()))
    }

    fn takes(&self, demand: &Demand) -> Result<(), RequestError> {
        match &self.lifecycle {
            Lifecycle::Serving if demand.claim.is_none() => Ok(()),
            Lifecycle::Claimed(claim) if demand.claim == Some(claim.token) => Ok(()),
            // Who carries a token of a claim that has ended must learn that it has.
            Lifecycle::Serving => Err(not_serving(crate::SchedulerState::Claimed)),
            other => Err(not_serving(other.public())),
        }
    }

    /// How long the request may wait.
    fn patience(&self, now: Instant, demand: &Demand) -> Result<Duration, RequestError> {
        match demand.deadline {
            Some(deadline) if deadline <= now => Err(too_late(false)),
            Some(deadline) => Ok(self.config.wait_max.min(deadline - now)),
            None => Ok(self.config.wait_max),
        }
    }

    fn has_room(&self, demand: &Demand, returns: bool) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        let share = if returns { RETURNER_SHARE } else { NEWCOMER_SHARE };
        let (requests, tokens) = self.queue.held_by(&demand.tenant);
        let requests_free = u64::from(self.config.requests_max).saturating_sub(self.queue.len() as u64);
        let tokens_free = self.config.tokens_max.saturating_sub(self.queue.tokens());
        requests < share * requests_free && demand.reserved_tokens() <= tokens_free && tokens < share * tokens_free
    }

    /// Refuses, with an appointment not before `earliest`.
    fn overloaded(&mut self, now: Instant, demand: &Demand, why: &str, earliest: Duration) -> RequestError {
        let service = self.rate.time_for(self.expected_work(demand)).unwrap_or(RETRY_AFTER_UNMEASURED);
        let retry_after = self.appointments.book(now, earliest.max(service), service, demand.fingerprint);
        overloaded(why, self.estimated_wait(demand.class), retry_after)
    }

    fn expected_work(&self, demand: &Demand) -> f64 {
        self.rate.expected(u64::from(demand.prompt_tokens), u64::from(demand.answer_tokens_max))
    }
}
