//! Who may enter the queue.

use std::time::{Duration, Instant};

use hostler_protocol::{Priority, RequestError};

use super::queue::Waiting;
use super::refusal::{claim_ended, not_serving, overloaded, too_late};
use super::{Demand, Effect, Lifecycle, State};

/// Who comes back when told may fill the queue until their tenant holds so many
/// times what it leaves free: one tenant alone seven eighths.
///
/// A bound of this form always leaves room for a tenant who was not there before.
/// (Dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking
/// 6(2), 1998.) The time that a newcomer waits is shared out like places.
const RETURNER_SHARE: u64 = 7;

/// The same for newcomers: one tenant alone fills three quarters.
const NEWCOMER_SHARE: u64 = 3;

/// The same for newcomers while somebody is told to come back: half. Those come at
/// 0.8 of the service rate; where chance sends some of them at once, there are
/// six places of sixteen, and one is free in nineteen cases of twenty (a queue
/// M/M/1/6).
const NEWCOMER_SHARE_BESIDE_APPOINTMENTS: u64 = 1;

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
        let share = match self.appointments.redeem(now, demand.fingerprint) {
            true => RETURNER_SHARE,
            false if self.appointments.is_empty() => NEWCOMER_SHARE,
            false => NEWCOMER_SHARE_BESIDE_APPOINTMENTS,
        };
        if !self.has_room(&demand, share) {
            return Err(self.overloaded(now, &demand, "the queue is full", Duration::ZERO));
        }
        let wait = self.wait_of(&demand);
        let bound = patience.min(self.config.wait_max.mul_f64(share as f64 / (share + 1) as f64));
        if wait > bound && !self.queue.is_empty() {
            let why = format!("the wait would be about {:.1} s", wait.as_secs_f64());
            return Err(self.overloaded(now, &demand, &why, wait - bound));
        }
        let until = now + patience;
        self.timers.insert((until, demand.ticket));
        self.queue.push(Waiting { demand, since: now, until });
        Ok(self.dispatch(now))
    }

    /// How long a request of this class that arrives now would wait, behind all
    /// that waits in it and in the classes above; `None` while nothing has been
    /// measured.
    #[must_use]
    pub fn estimated_wait(&self, class: Priority) -> Option<Duration> {
        self.wait_behind(class, self.rate.expected_of(self.queue.load(class)))
    }

    /// The same, for one whose turn among the tenants is known. What has not been
    /// measured is taken for no wait.
    fn wait_of(&self, demand: &Demand) -> Duration {
        let share = self.rate.expected_share(self.queue.load(demand.class));
        let ahead = self.queue.work_ahead_of(demand.class, &demand.tenant) as f64 * share;
        self.wait_behind(demand.class, ahead).unwrap_or_default()
    }

    /// The wait behind so much work of the same class, and all of the classes above.
    fn wait_behind(&self, class: Priority, ahead: f64) -> Option<Duration> {
        if self.queue.is_empty() && self.batch.free_slots() > 0 {
            return Some(Duration::ZERO);
        }
        let above = Priority::ALL.into_iter().filter(|&other| other < class);
        let queued = ahead + above.map(|class| self.rate.expected_of(self.queue.load(class))).sum::<f64>();
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
            other if demand.claim != other.claim().map(|claim| claim.token) && demand.claim.is_some() => {
                Err(claim_ended())
            }
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

    fn has_room(&self, demand: &Demand, share: u64) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        let (requests, tokens) = self.queue.held_by(&demand.tenant);
        let requests_free = u64::from(self.config.requests_max).saturating_sub(self.queue.len() as u64);
        let tokens_free = self.config.tokens_max.saturating_sub(self.queue.tokens());
        requests < share * requests_free && demand.reserved_tokens() <= tokens_free && tokens < share * tokens_free
    }

    /// Refuses, with an appointment not before `earliest`.
    fn overloaded(&mut self, now: Instant, demand: &Demand, why: &str, earliest: Duration) -> RequestError {
        let service = self.rate.time_for(self.expected_work(demand)).unwrap_or(RETRY_AFTER_UNMEASURED);
        let retry_after = self.appointments.book(now, earliest.max(service), service, demand.fingerprint);
        overloaded(why, Some(self.wait_of(demand)), retry_after)
    }

    fn expected_work(&self, demand: &Demand) -> f64 {
        self.rate.expected(u64::from(demand.prompt_tokens), u64::from(demand.answer_tokens_max))
    }
}
