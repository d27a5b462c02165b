//! Which benchmark runs, which wait, and which are remembered. Pure.

use std::collections::VecDeque;

use hostler_protocol::{ErrorCode, RequestError};

use super::Order;
use super::record::{BenchmarkId, BenchmarkRecord, Claimed, Status, WhyNot};
use crate::result::BenchmarkResult;

/// What the actor does about a change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Carry it out.
    Start(BenchmarkId, Box<Order>),
    /// End what is under way: its scheduler goes back.
    Stop(BenchmarkId),
    /// Keep what it has come to.
    Save(BenchmarkId),
    /// It makes room for newer ones.
    Forget(BenchmarkId),
}

/// How a benchmark that was carried out ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// With a result.
    Done(Box<BenchmarkResult>),
    /// Without one.
    Failed(WhyNot),
    /// It was told to stop.
    Cancelled,
}

/// All benchmarks, in the order in which they came. At most one is under way.
#[derive(Debug)]
pub(super) struct State {
    records: VecDeque<BenchmarkRecord>,
    queue_max: usize,
    kept_max: usize,
}

impl State {
    /// What an earlier process left. What was under way then has failed.
    pub(super) fn new(queue_max: usize, kept_max: usize, earlier: Vec<BenchmarkRecord>) -> (Self, Vec<Effect>) {
        let mut state = Self { records: earlier.into(), queue_max, kept_max };
        let mut effects = Vec::new();
        for record in state.records.iter_mut().filter(|record| !record.status.is_final()) {
            record.status = Status::Failed;
            let error = RequestError::new(ErrorCode::Unavailable, "the server ended before the benchmark did");
            record.error = Some(error.into());
            effects.push(Effect::Save(record.id.clone()));
        }
        effects.extend(state.make_room());
        (state, effects)
    }

    /// Takes an order.
    ///
    /// # Errors
    /// `Overloaded`, if too many wait already.
    pub(super) fn submit(&mut self, id: BenchmarkId, order: Order, now: u64) -> Result<Vec<Effect>, RequestError> {
        let waiting = self.records.iter().filter(|record| record.status == Status::Queued).count();
        if waiting >= self.queue_max {
            let message = format!("{waiting} benchmarks wait for their turn, the most that may");
            return Err(RequestError::new(ErrorCode::Overloaded, message));
        }
        self.records.push_back(BenchmarkRecord::ordered(id.clone(), order, now));
        let mut effects = vec![Effect::Save(id)];
        effects.extend(self.make_room());
        effects.extend(self.start_next(now));
        Ok(effects)
    }

    /// The one that is under way has its scheduler.
    pub(super) fn claimed(&mut self, id: &BenchmarkId, claim: Claimed) -> Vec<Effect> {
        match self.find(id) {
            Some(record) if record.status == Status::Draining => {
                record.status = Status::Running;
                record.claim = Some(claim);
                vec![Effect::Save(id.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// The one that was under way has ended, and its scheduler is free again.
    pub(super) fn ended(&mut self, id: &BenchmarkId, outcome: Outcome, now: u64) -> Vec<Effect> {
        let Some(record) = self.find(id).filter(|record| is_under_way(record.status)) else { return Vec::new() };
        match outcome {
            Outcome::Done(result) => {
                record.status = Status::Done;
                record.result = Some(*result);
            }
            Outcome::Failed(error) => {
                record.status = Status::Failed;
                record.error = Some(error);
            }
            Outcome::Cancelled => record.status = Status::Cancelled,
        }
        record.ended_unix_seconds = Some(now);
        let mut effects = vec![Effect::Save(id.clone())];
        effects.extend(self.start_next(now));
        effects
    }

    /// Somebody does not want it any more. `None` if there is no such benchmark, else
    /// whether there was something to cancel. One that is under way is cancelled when
    /// it has given its scheduler back.
    pub(super) fn cancel(&mut self, id: &BenchmarkId, now: u64) -> (Option<bool>, Vec<Effect>) {
        let Some(record) = self.find(id) else { return (None, Vec::new()) };
        match record.status {
            Status::Queued => {
                record.status = Status::Cancelled;
                record.ended_unix_seconds = Some(now);
                (Some(true), vec![Effect::Save(id.clone())])
            }
            status if is_under_way(status) => (Some(true), vec![Effect::Stop(id.clone())]),
            _ => (Some(false), Vec::new()),
        }
    }

    /// Nothing shall be done any more.
    pub(super) fn stop(&mut self, now: u64) -> Vec<Effect> {
        let ids: Vec<BenchmarkId> = self.records.iter().rev().map(|record| record.id.clone()).collect();
        ids.iter().flat_map(|id| self.cancel(id, now).1).collect()
    }

    pub(super) fn get(&self, id: &BenchmarkId) -> Option<&BenchmarkRecord> {
        self.records.iter().find(|record| record.id == *id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &BenchmarkRecord> {
        self.records.iter()
    }

    fn find(&mut self, id: &BenchmarkId) -> Option<&mut BenchmarkRecord> {
        self.records.iter_mut().find(|record| record.id == *id)
    }

    fn start_next(&mut self, now: u64) -> Option<Effect> {
        if self.records.iter().any(|record| is_under_way(record.status)) {
            return None;
        }
        let next = self.records.iter_mut().find(|record| record.status == Status::Queued)?;
        next.status = Status::Draining;
        next.started_unix_seconds = Some(now);
        Some(Effect::Start(next.id.clone(), Box::new(next.order.clone())))
    }

    /// Drops the oldest that have ended, beyond what is kept.
    fn make_room(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.records.len() > self.kept_max {
            let Some(oldest) = self.records.iter().position(|record| record.status.is_final()) else { break };
            effects.extend(self.records.remove(oldest).map(|record| Effect::Forget(record.id)));
        }
        effects
    }
}

fn is_under_way(status: Status) -> bool {
    matches!(status, Status::Draining | Status::Running)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: usize) -> BenchmarkId {
        format!("b{n}").as_str().into()
    }

    fn state() -> State {
        State::new(2, 3, Vec::new()).0
    }

    fn claim() -> Claimed {
        Claimed { scheduler: "s".into(), token: hostler_protocol::FencingToken(1), drain_seconds: 0.1 }
    }

    fn status(state: &State, n: usize) -> Status {
        state.get(&id(n)).expect("it is there").status
    }

    #[test]
    fn one_runs_the_others_wait_and_too_many_are_refused() {
        let mut state = state();
        let started = state.submit(id(0), Order::default(), 1).expect("there is room");
        assert!(started.iter().any(|effect| matches!(effect, Effect::Start(started, _) if *started == id(0))));
        for n in 1..3 {
            let effects = state.submit(id(n), Order::default(), 1).expect("there is room");
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start(..))));
        }
        let refused = state.submit(id(3), Order::default(), 1).expect_err("two wait already");
        assert_eq!(refused.code, ErrorCode::Overloaded);
        state.claimed(&id(0), claim());
        assert_eq!(status(&state, 0), Status::Running);
        let next = state.ended(&id(0), Outcome::Failed(RequestError::new(ErrorCode::Internal, "so").into()), 2);
        assert!(next.iter().any(|effect| matches!(effect, Effect::Start(started, _) if *started == id(1))));
        assert_eq!(
            (status(&state, 0), status(&state, 1), status(&state, 2)),
            (Status::Failed, Status::Draining, Status::Queued)
        );
    }

    #[test]
    fn what_waits_is_cancelled_at_once_and_what_runs_when_it_has_stopped() {
        let mut state = state();
        state.submit(id(0), Order::default(), 1).expect("there is room");
        state.submit(id(1), Order::default(), 1).expect("there is room");
        assert_eq!(state.cancel(&id(1), 1), (Some(true), vec![Effect::Save(id(1))]));
        assert_eq!(state.cancel(&id(0), 1), (Some(true), vec![Effect::Stop(id(0))]));
        assert_eq!((status(&state, 0), status(&state, 1)), (Status::Draining, Status::Cancelled));
        state.ended(&id(0), Outcome::Cancelled, 2);
        assert_eq!(state.cancel(&id(0), 3), (Some(false), Vec::new()));
        assert_eq!(state.cancel(&id(9), 3), (None, Vec::new()));
    }

    #[test]
    fn what_was_under_way_when_the_server_ended_has_failed() {
        let mut earlier = BenchmarkRecord::ordered(id(0), Order::default(), 1);
        earlier.status = Status::Running;
        let (state, effects) = State::new(2, 3, vec![earlier]);
        assert_eq!(effects, [Effect::Save(id(0))]);
        assert_eq!(status(&state, 0), Status::Failed);
    }

    proptest! {
        /// Whatever happens: at most one is under way, nobody waits while none is, no
        /// more are kept than may be, and nothing that has not ended is forgotten.
        #[test]
        fn the_invariants_hold(events in prop::collection::vec((0u8..4, 0usize..12), 0..80)) {
            let mut state = state();
            for (now, (event, n)) in events.into_iter().enumerate() {
                let now = now as u64;
                let effects = match event {
                    0 if state.get(&id(n)).is_none() => {
                        state.submit(id(n), Order::default(), now).unwrap_or_default()
                    }
                    1 => state.claimed(&id(n), claim()),
                    2 => state.ended(&id(n), Outcome::Cancelled, now),
                    3 => state.cancel(&id(n), now).1,
                    _ => Vec::new(),
                };
                for effect in effects {
                    match effect {
                        Effect::Start(id, _) | Effect::Stop(id) => {
                            prop_assert!(is_under_way(state.get(&id).expect("it is kept").status));
                        }
                        Effect::Save(id) => prop_assert!(state.get(&id).is_some()),
                        Effect::Forget(id) => prop_assert!(state.get(&id).is_none()),
                    }
                }
                let count = |wanted: fn(Status) -> bool| state.all().filter(|record| wanted(record.status)).count();
                let (running, waiting) = (count(is_under_way), count(|status| status == Status::Queued));
                prop_assert!(running <= 1 && waiting <= 2);
                prop_assert!(running == 1 || waiting == 0);
                prop_assert!(state.all().count() <= 3 || count(Status::is_final) == 0);
            }
        }
    }
}
