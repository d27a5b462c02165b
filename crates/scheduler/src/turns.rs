//! Turns of tenants at something that one of them uses at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hostler_protocol::TenantId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Gives out one turn at a time: each waiting tenant gets one after the other, and within a
/// tenant the oldest caller does.
#[derive(Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    is_taken: bool,
    /// Tenants that wait, the next one first.
    order: VecDeque<TenantId>,
    waiting: BTreeMap<TenantId, VecDeque<oneshot::Sender<Turn>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Mutex<Line>>);

impl Turns {
    /// Waits for a turn.
    pub(crate) async fn next(&self, tenant: &TenantId) -> Turn {
        let granted = {
            let mut line = self.0.lock();
            if !line.is_taken {
                line.is_taken = true;
                return Turn(Arc::clone(&self.0));
            }
            line.wait(tenant)
        };
        match granted.await {
            Ok(turn) => turn,
            // The senders live in the line, which `self` keeps.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Line {
    fn wait(&mut self, tenant: &TenantId) -> oneshot::Receiver<Turn> {
        let (grant, granted) = oneshot::channel();
        let own = self.waiting.entry(tenant.clone()).or_default();
        if own.is_empty() {
            self.order.push_back(tenant.clone());
        }
        own.push_back(grant);
        granted
    }

    /// The next caller that still waits.
    fn pop(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(tenant) = self.order.pop_front() {
            let Some(own) = self.waiting.get_mut(&tenant) else { continue };
            while own.front().is_some_and(oneshot::Sender::is_closed) {
                own.pop_front();
            }
            let next = own.pop_front();
            if own.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.order.push_back(tenant);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut line = self.0.lock();
            let next = line.pop();
            line.is_taken = next.is_some();
            next
        };
        // A caller that leaves at this moment drops the turn that it was sent, which goes on.
        if let Some(next) = next {
            drop(next.send(Turn(Arc::clone(&self.0))));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn tenants_take_turns_and_those_who_leave_are_skipped() {
        let turns = Turns::default();
        let (a, b) = (TenantId::from("a"), TenantId::from("b"));
        let first = turns.next(&a).await;
        let mut of_a: Vec<_> = (0..3).map(|_| Box::pin(turns.next(&a))).collect();
        let mut of_b = Box::pin(turns.next(&b));
        assert!(of_a.iter_mut().all(|call| call.now_or_never().is_none()) && (&mut of_b).now_or_never().is_none());
        drop(of_a.remove(0));
        drop(first);
        let second = (&mut of_a[0]).now_or_never().expect("the oldest of a that is there");
        assert!((&mut of_b).now_or_never().is_none());
        drop(second);
        let third = (&mut of_b).now_or_never().expect("then b, although a asked before");
        // Granted and dropped before it is received.
        drop(third);
        drop(of_a);
        assert!(turns.next(&b).now_or_never().is_some());
    }
}
