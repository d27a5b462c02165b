//! The thread on which constraints are compiled.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::process::setpriority_process;

/// llguidance recurses once for each rule and `$ref` on its way, and takes at most 450
/// bytes of stack for each byte of text (measured with chains of both). The longest text
/// has 64 KiB, so this is nine times what it can need. Only pages that are touched take
/// memory.
const STACK_BYTES: usize = 256 << 20;

/// So many constraints wait at most: each takes up to half a second, and a caller waits
/// a second.
const QUEUE_MAX: usize = 32;

/// How far the thread stands back behind those of the engine: with this niceness it gets
/// a tenth of a core that another thread wants whole.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after the other, on a large stack and at a low priority. Dropping it
/// ends the thread after the job under way.
pub(super) struct Pool {
    jobs: SyncSender<Job>,
}

/// The queue is full.
pub(super) struct Full;

impl Pool {
    /// # Errors
    /// The system starts no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        thread::Builder::new().name("constraints".to_owned()).stack_size(STACK_BYTES).spawn(move || run(&queue))?;
        Ok(Self { jobs })
    }

    /// Runs `job` when its turn comes.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        // The thread ends only when the sender is gone.
        self.jobs.try_send(Box::new(job)).map_err(|_| Full)
    }
}

fn run(queue: &Receiver<Job>) {
    // On Linux the priority is the thread's. Where the system refuses, the engine merely
    // shares its cores with this thread on equal terms.
    let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    for job in queue {
        // A job that panics drops the sender of its answer, which tells the caller.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
