//! Which benchmark runs, which wait, and which are kept. Pure.

use std::collections::VecDeque;

use hostler_loadgen::result::BenchmarkResult;
use hostler_protocol::{ErrorCode, RequestError};

use super::order::Order;
use super::record::{BenchmarkError, BenchmarkId, BenchmarkRecord, HeldClaim, Status};

/// What the actor has to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Run the benchmark.
    Start(BenchmarkId, Box<Order>),
    /// Stop the running benchmark, which releases its scheduler.
    Stop(BenchmarkId),
    /// Store the record.
    Save(BenchmarkId),
    /// Remove the record, because newer ones need its place.
    Remove(BenchmarkId),
}

/// How a benchmark ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// It has a result.
    Done(Box<BenchmarkResult>),
    /// It failed.
    Failed(BenchmarkError),
    /// It was stopped.
    Cancelled,
    /// The model needed its scheduler.
    Interrupted(BenchmarkError),
}

/// All benchmarks, in submission order. At most one is running.
#[derive(Debug)]
pub(super) struct BenchmarkQueue {
    records: VecDeque<BenchmarkRecord>,
    queue_max: usize,
    kept_max: usize,
}

impl BenchmarkQueue {
    /// A queue with the records of an earlier process. Those that had not ended are marked as
    /// failed.
    pub(super) fn new(queue_max: usize, kept_max: usize, earlier: Vec<BenchmarkRecord>) -> (Self, Vec<Effect>) {
        let mut queue = Self { records: earlier.into(), queue_max, kept_max };
        let mut effects = Vec::new();
        for record in queue.records.iter_mut().filter(|record| !record.status.is_final()) {
            record.status = Status::Failed;
            let error = RequestError::new(ErrorCode::Unavailable, "the server stopped before the benchmark ended");
            record.error = Some(error.into());
            effects.push(Effect::Save(record.id.clone()));
        }
        effects.extend(queue.remove_oldest());
        (queue, effects)
    }

    /// Accepts an order.
    ///
    /// # Errors
    /// `Overloaded`, if the queue is full.
    pub(super) fn submit(&mut self, id: BenchmarkId, order: Order, now: u64) -> Result<Vec<Effect>, RequestError> {
        let waiting = self.records.iter().filter(|record| record.status == Status::Queued).count();
        if waiting >= self.queue_max {
            let message = format!("the queue is full: {waiting} benchmarks are waiting");
            return Err(RequestError::new(ErrorCode::Overloaded, message));
        }
        self.records.push_back(BenchmarkRecord::new(id.clone(), order, now));
        let mut effects = vec![Effect::Save(id)];
        effects.extend(self.remove_oldest());
        effects.extend(self.start_next(now));
        Ok(effects)
    }

    /// The running benchmark has claimed its scheduler.
    pub(super) fn claimed(&mut self, id: &BenchmarkId, claim: HeldClaim) -> Vec<Effect> {
        match self.find(id) {
            Some(record) if record.status == Status::Draining => {
                record.status = Status::Running;
                record.claim = Some(claim);
                vec![Effect::Save(id.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// The running benchmark has ended and released its scheduler.
    pub(super) fn ended(&mut self, id: &BenchmarkId, outcome: Outcome, now: u64) -> Vec<Effect> {
        let Some(record) = self.find(id).filter(|record| is_active(record.status)) else { return Vec::new() };
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
            Outcome::Interrupted(error) => {
                record.status = Status::Interrupted;
                record.error = Some(error);
            }
        }
        record.ended_unix_seconds = Some(now);
        let mut effects = vec![Effect::Save(id.clone())];
        effects.extend(self.start_next(now));
        effects
    }

    /// Cancels a benchmark. `None` if it does not exist, else whether it had not yet ended. A
    /// running one becomes `Cancelled` when it has released its scheduler.
    pub(super) fn cancel(&mut self, id: &BenchmarkId, now: u64) -> (Option<bool>, Vec<Effect>) {
        let Some(record) = self.find(id) else { return (None, Vec::new()) };
        match record.status {
            Status::Queued => {
                record.status = Status::Cancelled;
                record.ended_unix_seconds = Some(now);
                (Some(true), vec![Effect::Save(id.clone())])
            }
            status if is_active(status) => (Some(true), vec![Effect::Stop(id.clone())]),
            _ => (Some(false), Vec::new()),
        }
    }

    /// Cancels all benchmarks.
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
        if self.records.iter().any(|record| is_active(record.status)) {
            return None;
        }
        let next = self.records.iter_mut().find(|record| record.status == Status::Queued)?;
        next.status = Status::Draining;
        next.started_unix_seconds = Some(now);
        Some(Effect::Start(next.id.clone(), Box::new(next.order.clone())))
    }

    /// Removes the oldest ended benchmarks above the limit.
    fn remove_oldest(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.records.len() > self.kept_max {
            let Some(oldest) = self.records.iter().position(|record| record.status.is_final()) else { break };
            effects.extend(self.records.remove(oldest).map(|record| Effect::Remove(record.id)));
        }
        effects
    }
}

fn is_active(status: Status) -> bool {
    matches!(status, Status::Draining | Status::Running)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: usize) -> BenchmarkId {
        format!("b{n}").as_str().into()
    }

    fn queue() -> BenchmarkQueue {
        BenchmarkQueue::new(2, 3, Vec::new()).0
    }

    fn claim() -> HeldClaim {
        HeldClaim { scheduler: "s".into(), token: hostler_protocol::FencingToken(1), drain_seconds: 0.1 }
    }

    fn status(queue: &BenchmarkQueue, n: usize) -> Status {
        queue.get(&id(n)).expect("a record").status
    }

    #[test]
    fn one_benchmark_runs_and_the_queue_is_bounded() {
        let mut queue = queue();
        let started = queue.submit(id(0), Order::default(), 1).expect("a free place");
        assert!(started.iter().any(|effect| matches!(effect, Effect::Start(started, _) if *started == id(0))));
        for n in 1..3 {
            let effects = queue.submit(id(n), Order::default(), 1).expect("a free place");
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start(..))));
        }
        let refused = queue.submit(id(3), Order::default(), 1).expect_err("a full queue");
        assert_eq!(refused.code, ErrorCode::Overloaded);
        queue.claimed(&id(0), claim());
        assert_eq!(status(&queue, 0), Status::Running);
        let next = queue.ended(&id(0), Outcome::Failed(RequestError::new(ErrorCode::Internal, "so").into()), 2);
        assert!(next.iter().any(|effect| matches!(effect, Effect::Start(started, _) if *started == id(1))));
        assert_eq!(
            (status(&queue, 0), status(&queue, 1), status(&queue, 2)),
            (Status::Failed, Status::Draining, Status::Queued)
        );
    }

    #[test]
    fn a_queued_benchmark_is_cancelled_at_once_and_a_running_one_when_it_stops() {
        let mut queue = queue();
        queue.submit(id(0), Order::default(), 1).expect("a free place");
        queue.submit(id(1), Order::default(), 1).expect("a free place");
        assert_eq!(queue.cancel(&id(1), 1), (Some(true), vec![Effect::Save(id(1))]));
        assert_eq!(queue.cancel(&id(0), 1), (Some(true), vec![Effect::Stop(id(0))]));
        assert_eq!((status(&queue, 0), status(&queue, 1)), (Status::Draining, Status::Cancelled));
        queue.ended(&id(0), Outcome::Cancelled, 2);
        assert_eq!(queue.cancel(&id(0), 3), (Some(false), Vec::new()));
        assert_eq!(queue.cancel(&id(9), 3), (None, Vec::new()));
    }

    #[test]
    fn a_benchmark_that_ran_when_the_server_stopped_has_failed() {
        let mut earlier = BenchmarkRecord::new(id(0), Order::default(), 1);
        earlier.status = Status::Running;
        let (queue, effects) = BenchmarkQueue::new(2, 3, vec![earlier]);
        assert_eq!(effects, [Effect::Save(id(0))]);
        assert_eq!(status(&queue, 0), Status::Failed);
    }

    proptest! {
        /// At most one benchmark runs, none waits while none runs, the number of records is
        /// bounded, and no record is removed before its benchmark has ended.
        #[test]
        fn the_invariants_hold(events in prop::collection::vec((0u8..4, 0usize..12), 0..80)) {
            let mut queue = queue();
            for (now, (event, n)) in events.into_iter().enumerate() {
                let now = now as u64;
                let effects = match event {
                    0 if queue.get(&id(n)).is_none() => {
                        queue.submit(id(n), Order::default(), now).unwrap_or_default()
                    }
                    1 => queue.claimed(&id(n), claim()),
                    2 => queue.ended(&id(n), Outcome::Cancelled, now),
                    3 => queue.cancel(&id(n), now).1,
                    _ => Vec::new(),
                };
                for effect in effects {
                    match effect {
                        Effect::Start(id, _) | Effect::Stop(id) => {
                            prop_assert!(is_active(queue.get(&id).expect("a record").status));
                        }
                        Effect::Save(id) => prop_assert!(queue.get(&id).is_some()),
                        Effect::Remove(id) => prop_assert!(queue.get(&id).is_none()),
                    }
                }
                let count = |wanted: fn(Status) -> bool| queue.all().filter(|record| wanted(record.status)).count();
                let (running, waiting) = (count(is_active), count(|status| status == Status::Queued));
                prop_assert!(running <= 1 && waiting <= 2);
                prop_assert!(running == 1 || waiting == 0);
                prop_assert!(queue.all().count() <= 3 || count(Status::is_final) == 0);
            }
        }
    }
}
