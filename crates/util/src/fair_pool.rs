//! Threads for work whose cost clients determine: bounded, fair between tenants, and skipped
//! when the caller has left.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Builder;

use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs on its threads. Each tenant has a queue, and the queues take turns, so another
/// tenant's jobs delay a job by at most one each. Dropping the pool ends its threads after
/// their current jobs.
pub struct FairPool<K> {
    shared: Arc<Shared<K>>,
}

/// How many jobs may wait.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Of one tenant.
    pub of_one: usize,
    /// Of all tenants.
    pub of_all: usize,
}

/// Why a job has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// As many jobs as allowed are waiting.
    Full,
    /// The job panicked.
    Panicked,
}

struct Shared<K> {
    turns: Mutex<Turns<K>>,
    changed: Condvar,
}

struct Turns<K> {
    limits: PoolLimits,
    waiting: usize,
    /// Tenants with jobs, the next one first.
    order: VecDeque<K>,
    jobs: BTreeMap<K, VecDeque<Job>>,
    closed: bool,
}

impl<K: Ord + Clone + Send + 'static> FairPool<K> {
    /// Starts `threads` threads named `name`; each calls `prepare` first, for instance to set
    /// its priority.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        name: &str,
        threads: usize,
        stack_bytes: usize,
        limits: PoolLimits,
        prepare: fn(),
    ) -> io::Result<Self> {
        let turns = Turns { limits, waiting: 0, order: VecDeque::new(), jobs: BTreeMap::new(), closed: false };
        let pool = Self { shared: Arc::new(Shared { turns: Mutex::new(turns), changed: Condvar::new() }) };
        for _ in 0..threads {
            let shared = Arc::clone(&pool.shared);
            Builder::new().name(name.to_owned()).stack_size(stack_bytes).spawn(move || {
                prepare();
                while let Some(job) = shared.next() {
                    // A job that panics drops the sender of its result, which the caller notices.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(pool)
    }

    /// Adds a job behind the others of its tenant.
    ///
    /// # Errors
    /// [`PoolError::Full`].
    pub fn submit(&self, tenant: K, job: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        self.shared.turns.lock().push(tenant, Box::new(job))?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Runs `work` and returns its result. It is skipped if the future is dropped before its turn.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: K,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.submit(tenant, move || {
            if !reply.is_canceled() {
                // The caller may leave while the job runs.
                let _ = reply.send(work());
            }
        })?;
        answer.await.map_err(|_| PoolError::Panicked)
    }
}

impl<K: Ord + Clone> Shared<K> {
    /// The next job; `None` when the pool was dropped.
    fn next(&self) -> Option<Job> {
        let mut turns = self.turns.lock();
        loop {
            if turns.closed {
                return None;
            }
            if let Some(job) = turns.pop() {
                return Some(job);
            }
            self.changed.wait(&mut turns);
        }
    }
}

impl<K: Ord + Clone> Turns<K> {
    fn push(&mut self, tenant: K, job: Job) -> Result<(), PoolError> {
        let own = self.jobs.get(&tenant).map_or(0, VecDeque::len);
        if own >= self.limits.of_one || self.waiting >= self.limits.of_all {
            return Err(PoolError::Full);
        }
        if own == 0 {
            self.order.push_back(tenant.clone());
        }
        self.jobs.entry(tenant).or_default().push_back(job);
        self.waiting += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Job> {
        let tenant = self.order.pop_front()?;
        let jobs = self.jobs.get_mut(&tenant)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        self.waiting -= usize::from(job.is_some());
        job
    }
}

impl<K> Drop for FairPool<K> {
    fn drop(&mut self) {
        let mut turns = self.shared.turns.lock();
        turns.closed = true;
        // Waiting jobs drop their senders, so that no caller waits for ever.
        let jobs = std::mem::take(&mut turns.jobs);
        drop(turns);
        drop(jobs);
        self.shared.changed.notify_all();
    }
}

impl<K> fmt::Debug for FairPool<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FairPool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::executor::block_on;

    use super::*;

    const LIMITS: PoolLimits = PoolLimits { of_one: 3, of_all: 5 };

    fn pool() -> FairPool<&'static str> {
        FairPool::start("test", 1, 1 << 20, LIMITS, || ()).expect("a thread starts")
    }

    /// Occupies the thread until the sender is used or dropped.
    fn block(pool: &FairPool<&'static str>) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let job = move || {
            let _ = begin.send(());
            let _ = released.recv();
        };
        pool.submit("blocker", job).expect("there is room");
        begun.recv().expect("the job begins");
        release
    }

    #[test]
    fn tenants_take_turns_and_one_cannot_fill_the_queue() {
        let pool = pool();
        let release = block(&pool);
        let (report, reports) = mpsc::channel();
        let submit = |tenant| {
            let report = report.clone();
            pool.submit(tenant, move || report.send(tenant).expect("the test listens"))
        };
        let results: Vec<_> = ["a", "a", "a", "a", "b", "b", "c"].map(submit).into();
        assert_eq!(results[3], Err(PoolError::Full), "a has three");
        assert_eq!(results[6], Err(PoolError::Full), "five are waiting");
        drop((report, release));
        let order: Vec<_> = (0..5).map(|_| reports.recv().expect("every job runs")).collect();
        assert_eq!(order, ["a", "b", "a", "b", "a"]);
    }

    #[test]
    fn the_work_of_a_caller_that_has_left_is_skipped_and_a_panic_is_reported() {
        let pool = pool();
        let release = block(&pool);
        let (report, reports) = mpsc::channel();
        let mut left = Box::pin(pool.run("a", move || report.send(())));
        assert!(futures::FutureExt::now_or_never(&mut left).is_none());
        drop(left);
        drop(release);
        assert_eq!(block_on(pool.run("a", || 7)), Ok(7));
        assert!(reports.recv().is_err(), "the sender was dropped without being used");
        assert_eq!(block_on(pool.run("a", || panic!("as intended"))), Err::<(), _>(PoolError::Panicked));
        assert_eq!(block_on(pool.run("a", || 8)), Ok(8), "the thread lives");
    }

    #[test]
    fn dropping_the_pool_ends_waiting_callers() {
        let pool = pool();
        let release = block(&pool);
        let (reply, answer) = oneshot::channel::<()>();
        pool.submit("a", move || drop(reply)).expect("there is room");
        drop(pool);
        assert!(block_on(answer).is_err());
        drop(release);
    }
}
