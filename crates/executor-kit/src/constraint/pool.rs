//! The thread that compiles constraints.

use std::io;

use hostler_protocol::TenantId;
use hostler_util::{FairPool, PoolLimits};
use rustix::process::setpriority_process;

/// Size of the stack. llguidance recurses for each rule and each `$ref`, and uses at most
/// 450 bytes of stack per byte of text (measured with chains of both). The longest text has
/// 64 KiB, so this is nine times the maximum. Only pages that are used take memory.
const STACK_BYTES: usize = 256 << 20;

/// Maximum numbers of different constraints that wait. Each takes up to half a second, and a
/// caller waits for one second; most take some milliseconds.
const LIMITS: PoolLimits = PoolLimits { of_one: 32, of_all: 256 };

/// The thread's niceness. With this value, it gets a tenth of a core when a thread of the
/// engine needs the same core.
const NICENESS: i32 = 10;

/// Starts the thread. There is one, with a large stack and a low priority.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start() -> io::Result<FairPool<TenantId>> {
    FairPool::start("constraints", 1, STACK_BYTES, LIMITS, || {
        // On Linux, this sets the priority of the thread. If it fails, the thread competes with
        // the engine at the same priority.
        let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    })
}
