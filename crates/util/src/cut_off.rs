//! Ends waits from outside: calls to a worker that is lost, streams of an engine that hangs.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use parking_lot::Mutex;

/// A reason to stop, set at most once, and the one task that waits for it.
#[derive(Debug)]
pub struct CutOff<R> {
    reason: OnceLock<R>,
    waiting: AtomicWaker,
}

impl<R> Default for CutOff<R> {
    fn default() -> Self {
        Self { reason: OnceLock::new(), waiting: AtomicWaker::new() }
    }
}

impl<R> CutOff<R> {
    /// Sets the reason and wakes the task that waits. The first reason stands.
    pub fn set(&self, reason: R) {
        if self.reason.set(reason).is_ok() {
            self.waiting.wake();
        }
    }

    /// The reason, once it is set.
    pub fn get(&self) -> Option<&R> {
        self.reason.get()
    }
}

impl<R: Clone> CutOff<R> {
    /// Ready once a reason is set. Only the task that polled last is woken.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<R> {
        if self.get().is_none() {
            self.waiting.register(context.waker());
        }
        // Checked again after registering, so that a reason set in between is not missed.
        self.get().map_or(Poll::Pending, |reason| Poll::Ready(reason.clone()))
    }

    /// Waits until a reason is set.
    pub async fn wait(&self) -> R {
        poll_fn(|context| self.poll(context)).await
    }
}

/// Entries by key, until it is closed for a reason.
#[derive(Debug)]
pub struct CutOffRegistry<K, T, R>(Mutex<Entries<K, T, R>>);

#[derive(Debug)]
struct Entries<K, T, R> {
    by_key: HashMap<K, T>,
    closed: Option<R>,
}

/// An open one.
impl<K, T, R> Default for CutOffRegistry<K, T, R> {
    fn default() -> Self {
        Self(Mutex::new(Entries { by_key: HashMap::new(), closed: None }))
    }
}

impl<K: Eq + Hash, T, R: Clone> CutOffRegistry<K, T, R> {
    /// Adds an entry.
    ///
    /// # Errors
    /// The reason for which the registry is closed.
    pub fn insert(&self, key: K, entry: T) -> Result<(), R> {
        let mut entries = self.0.lock();
        if let Some(reason) = &entries.closed {
            return Err(reason.clone());
        }
        entries.by_key.insert(key, entry);
        Ok(())
    }

    /// Removes an entry, if it is still there.
    pub fn remove(&self, key: &K) {
        // Dropped after the lock is released.
        let _removed = self.0.lock().by_key.remove(key);
    }

    /// Takes entries again.
    pub fn open(&self) {
        self.0.lock().closed = None;
    }

    /// Takes no more entries. Those that it has stay.
    pub fn close(&self, reason: R) {
        self.0.lock().closed = Some(reason);
    }

    /// Takes no more entries, and hands out those that it has, for the caller to cut off.
    pub fn close_and_drain(&self, reason: R) -> impl Iterator<Item = T> + use<K, T, R> {
        let mut entries = self.0.lock();
        entries.closed = Some(reason);
        std::mem::take(&mut entries.by_key).into_values()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn the_first_reason_ends_the_wait() {
        let cut = CutOff::default();
        assert_eq!(cut.wait().now_or_never(), None);
        let waiting = Arc::new(cut);
        let cutting = Arc::clone(&waiting);
        let cutter = std::thread::spawn(move || {
            cutting.set("first");
            cutting.set("second");
        });
        assert_eq!(block_on(waiting.wait()), "first");
        cutter.join().expect("it does not panic");
        assert_eq!(waiting.get(), Some(&"first"));
    }

    #[test]
    fn a_closed_registry_takes_nothing_and_says_why() {
        let registry = CutOffRegistry::default();
        assert_eq!(registry.insert(1, "a"), Ok(()));
        registry.close("the worker leaves");
        assert_eq!(registry.insert(2, "b"), Err("the worker leaves"));
        registry.open();
        assert_eq!(registry.insert(2, "b"), Ok(()));
        registry.remove(&1);
        assert_eq!(registry.close_and_drain("the worker is lost").collect::<Vec<_>>(), ["b"]);
        assert_eq!(registry.insert(3, "c"), Err("the worker is lost"));
        assert_eq!(registry.close_and_drain("again").count(), 0);
    }
}
