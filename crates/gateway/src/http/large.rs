//! Work on large bodies: reading their JSON, and writing that of many vectors. Clients determine
//! how long it takes, so it has threads of its own, never one that serves connections: bounded,
//! with turns for each tenant, and skipped if the client has left.

use std::io;

use hostler_protocol::{ErrorCode, RequestError, TenantId};
use hostler_util::{FairPool, PoolError, PoolLimits};

/// Bodies from this size on are large. Smaller ones take well below a millisecond.
const LARGE_BYTES: usize = 64 << 10;

/// A body of 1 MiB occupies one for some milliseconds.
const THREADS: usize = 2;

/// The default of Rust's own threads; the depth of a body's JSON is limited.
const STACK_BYTES: usize = 2 << 20;

/// Maximum bodies that wait. Each is at most `server.body_bytes_max`.
const LIMITS: PoolLimits = PoolLimits { of_one: 64, of_all: 512 };

/// The threads for large bodies.
pub(crate) struct LargeBodies(FairPool<TenantId>);

impl LargeBodies {
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        FairPool::start("bodies", THREADS, STACK_BYTES, LIMITS, || ()).map(Self)
    }

    /// Runs `work` on a body of `bytes`: here, if that is little.
    ///
    /// # Errors
    /// `Overloaded`, or `Internal` if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        if bytes < LARGE_BYTES {
            return Ok(work());
        }
        self.0.run(tenant.clone(), work).await.map_err(|error| match error {
            PoolError::Full => RequestError::new(
                ErrorCode::Overloaded,
                "too many large bodies are waiting to be read or written; retry in a second",
            ),
            PoolError::Panicked => RequestError::new(ErrorCode::Internal, "reading or writing this body failed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn large_bodies_have_threads_of_their_own() {
        let (bodies, tenant) = (LargeBodies::start().expect("threads can be started"), TenantId::from("a"));
        let here = thread::current().id();
        let small = bodies.run(&tenant, LARGE_BYTES - 1, || thread::current().id()).await;
        let large = bodies.run(&tenant, LARGE_BYTES, || thread::current().id()).await;
        assert_eq!(small, Ok(here));
        assert_ne!(large, Ok(here));
        let failed = bodies.run(&tenant, LARGE_BYTES, || panic!("a fault")).await;
        assert_eq!(failed.map_err(|error| error.code), Err::<(), _>(ErrorCode::Internal));
    }
}
