//! Admission: which requests may enter the queue.

use std::time::{Duration, Instant};

use hostler_protocol::{Priority, RequestError};

use super::queue::Waiting;
use super::refusal::{deadline_passed, not_serving, overloaded};
use super::{Demand, Effect, Lifecycle, SchedulingState};

/// A tenant's requests are admitted while they hold less than a multiple of what is free
/// in the queue; this is the multiple for requests with a retry reservation. One tenant
/// alone can fill seven eighths.
///
/// A limit of this form always leaves room for a tenant that has nothing queued yet
/// (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2),
/// 1998). The queue time is shared in the same way.
const RETURNING_SHARE: u64 = 7;

/// The multiple for new requests: one tenant alone can fill three quarters.
const NEW_SHARE: u64 = 3;

/// The multiple for new requests while there are retry reservations: one half. Returning
/// requests arrive at 0.8 of the service rate. If several arrive at once, 6 of 16 places
/// remain, and one is free with a probability of 95 % (an M/M/1/6 queue).
const NEW_SHARE_WITH_RESERVATIONS: u64 = 1;

/// The retry time before anything has been measured.
const RETRY_AFTER_UNMEASURED: Duration = Duration::from_secs(1);

impl SchedulingState {
    /// Admits a request to the queue, and starts it if there is room in the batch.
    ///
    /// # Errors
    /// `Unavailable` while the scheduler does not serve, `InvalidRequest` if the request
    /// can never run, `DeadlineExceeded`, or `Overloaded` with the retry time and the
    /// estimated wait.
    pub fn submit(&mut self, now: Instant, demand: Demand) -> Result<Vec<Effect>, RequestError> {
        self.check_lifecycle(&demand)?;
        self.limits.check(&demand)?;
        let wait_max = self.wait_max(now, &demand)?;
        let share = match self.reservations.redeem(now, &demand.tenant, demand.fingerprint) {
            true => RETURNING_SHARE,
            false if self.reservations.is_empty() => NEW_SHARE,
            false => NEW_SHARE_WITH_RESERVATIONS,
        };
        if !self.has_room(&demand, share) {
            return Err(self.overloaded(now, &demand, "the queue is full", Duration::ZERO));
        }
        let wait = self.wait_of(&demand);
        let bound = wait_max.min(self.config.wait_max.mul_f64(share as f64 / (share + 1) as f64));
        if wait > bound && !self.queue.is_empty() {
            let why = format!("the wait would be about {:.1} s", wait.as_secs_f64());
            return Err(self.overloaded(now, &demand, &why, wait - bound));
        }
        let until = now + wait_max;
        self.timers.insert((until, demand.ticket));
        self.queue.push(Waiting { demand, since: now, until });
        Ok(self.dispatch(now))
    }

    /// The estimated wait of a request of this class that arrives now, behind everything
    /// queued in its class and the classes above; `None` before anything has been
    /// measured.
    #[must_use]
    pub fn estimated_wait(&self, class: Priority) -> Option<Duration> {
        self.wait_behind(class, self.rate.expected_of(self.queue.load(class)))
    }

    /// The estimated wait of a given request, taking its tenant's turn into account; zero
    /// before anything has been measured.
    fn wait_of(&self, demand: &Demand) -> Duration {
        let share = self.rate.expected_share(self.queue.load(demand.class));
        let ahead = self.queue.work_ahead_of(demand.class, &demand.tenant) as f64 * share;
        self.wait_behind(demand.class, ahead).unwrap_or_default()
    }

    /// The wait behind this much work of the same class, and all of the classes above.
    fn wait_behind(&self, class: Priority, ahead: f64) -> Option<Duration> {
        if self.queue.is_empty() && self.batch.free_slots() > 0 {
            return Some(Duration::ZERO);
        }
        let above = Priority::ALL.into_iter().filter(|&other| other < class);
        let queued = ahead + above.map(|class| self.rate.expected_of(self.queue.load(class))).sum::<f64>();
        let running = self.batch.iter();
        let running: f64 = running.map(|demand| self.expected_work(demand)).sum();
        // Slots become free one by one: the first after one slot's share of the work.
        self.rate.time_for(queued + running / f64::from(self.batch.slots()))
    }

    fn check_lifecycle(&self, demand: &Demand) -> Result<(), RequestError> {
        match &self.lifecycle {
            Lifecycle::Serving if demand.claim.is_none() => Ok(()),
            Lifecycle::Claimed(claim) if demand.claim == Some(claim.token) => Ok(()),
            // The holder of an ended claim must be told that the claim has ended.
            other if demand.claim != other.claim().map(|claim| claim.token) && demand.claim.is_some() => {
                Err(RequestError::claim_ended().expected())
            }
            other => Err(not_serving(other.public())),
        }
    }

    /// How long the request may wait.
    fn wait_max(&self, now: Instant, demand: &Demand) -> Result<Duration, RequestError> {
        match demand.deadline {
            Some(deadline) if deadline <= now => Err(deadline_passed(false)),
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

    /// A refusal with a retry reservation not before `earliest`.
    fn overloaded(&mut self, now: Instant, demand: &Demand, why: &str, earliest: Duration) -> RequestError {
        let service = self.rate.time_for(self.expected_work(demand)).unwrap_or(RETRY_AFTER_UNMEASURED);
        let retry_after =
            self.reservations.reserve(now, earliest.max(service), service, &demand.tenant, demand.fingerprint);
        overloaded(why, Some(self.wait_of(demand)), retry_after)
    }

    fn expected_work(&self, demand: &Demand) -> f64 {
        self.rate.expected(u64::from(demand.prompt_tokens), u64::from(demand.answer_tokens_max))
    }
}
