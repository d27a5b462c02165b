//! The thread that compiles constraints.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::process::setpriority_process;

/// Size of the stack. llguidance recurses for each rule and each `$ref`, and uses at most
/// 450 bytes of stack per byte of text (measured with chains of both). The longest text has
/// 64 KiB, so this is nine times the maximum. Only pages that are used take memory.
const STACK_BYTES: usize = 256 << 20;

/// Maximum number of waiting constraints: each takes up to half a second, and a caller waits
/// for one second.
const QUEUE_MAX: usize = 32;

/// The thread's niceness. With this value, it gets a tenth of a core when a thread of the
/// engine needs the same core.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after the other, with a large stack and a low priority. Dropping it ends
/// the thread after the current job.
pub(super) struct Pool {
    jobs: SyncSender<Job>,
}

/// The queue is full.
pub(super) struct Full;

impl Pool {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        thread::Builder::new().name("constraints".to_owned()).stack_size(STACK_BYTES).spawn(move || run(&queue))?;
        Ok(Self { jobs })
    }

    /// Adds `job` to the queue.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        // The thread only ends when the sender is dropped.
        self.jobs.try_send(Box::new(job)).map_err(|_| Full)
    }
}

fn run(queue: &Receiver<Job>) {
    // On Linux, this sets the priority of the thread. If it fails, the thread competes with
    // the engine at the same priority.
    let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    for job in queue {
        // A job that panics drops the sender of its result, which the caller notices.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
