//! Receipts: what was decided for each request and how it ended, to be read afterwards. Never a
//! text.
//!
//! A receipt is written while its request runs, and kept when the last one who writes to it drops
//! it: so each request has exactly one, however it ends.

mod body;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hostler_protocol::{ErrorCode, ModelId, RequestId};
use parking_lot::Mutex;

pub(crate) use body::milliseconds;
pub use body::{Receipt, ReceiptCandidate, ReceiptDecision, ReceiptEnd, ReceiptOutcome};

use crate::decision::record::Decision;

/// Most decisions of a receipt: those that `attempts_max` and `moves_max` allow with their
/// defaults. Further ones are only counted.
const DECISIONS_MAX: usize = 9;

/// The receipts that are kept, oldest first.
pub(crate) struct Receipts {
    capacity: usize,
    kept: Mutex<VecDeque<Receipt>>,
}

impl Receipts {
    /// Keeps at most `capacity` receipts; the oldest is forgotten.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, kept: Mutex::default() })
    }

    /// Begins the receipt of a request.
    pub(crate) fn open(self: &Arc<Self>, id: RequestId, model: &ModelId) -> Arc<OpenReceipt> {
        let receipt = (self.capacity > 0).then(|| Receipt::begin(id, model.clone(), SystemTime::now()));
        Arc::new(OpenReceipt { receipts: Arc::clone(self), started: Instant::now(), receipt: Mutex::new(receipt) })
    }

    /// The receipt of a request that has ended.
    pub(crate) fn get(&self, id: RequestId) -> Option<Receipt> {
        self.kept.lock().iter().rev().find(|receipt| receipt.request == id).cloned()
    }

    /// The latest receipts, the latest first.
    pub(crate) fn recent(&self, count: usize) -> Vec<Receipt> {
        self.kept.lock().iter().rev().take(count).cloned().collect()
    }

    fn keep(&self, receipt: Receipt) {
        let mut kept = self.kept.lock();
        let oldest = if kept.len() == self.capacity { kept.pop_front() } else { None };
        kept.push_back(receipt);
        drop(kept);
        // Not under the lock, because this frees memory.
        drop(oldest);
    }
}

/// The receipt of a request that runs.
pub(crate) struct OpenReceipt {
    receipts: Arc<Receipts>,
    started: Instant,
    /// `None` if no receipts are kept.
    receipt: Mutex<Option<Receipt>>,
}

impl OpenReceipt {
    /// A scheduler was chosen.
    pub(crate) fn decided(&self, decision: Decision) {
        self.write(|receipt, started| {
            if receipt.decisions.len() < DECISIONS_MAX {
                receipt.decisions.push(ReceiptDecision::new(decision, started.elapsed()));
            } else {
                receipt.decisions_omitted += 1;
            }
        });
    }

    /// The scheduler that was chosen last refused or failed the request.
    pub(crate) fn refused(&self, code: ErrorCode) {
        self.write(|receipt, _| {
            if let Some(decision) = receipt.decisions.last_mut().filter(|_| receipt.decisions_omitted == 0) {
                decision.error = Some(code);
            }
        });
    }

    /// How the request has ended.
    pub(crate) fn ended(&self, end: ReceiptEnd, outcome: ReceiptOutcome) {
        self.write(|receipt, _| (receipt.end, receipt.outcome) = (end, outcome));
    }

    fn write(&self, write: impl FnOnce(&mut Receipt, Instant)) {
        if let Some(receipt) = self.receipt.lock().as_mut() {
            write(receipt, self.started);
        }
    }
}

impl Drop for OpenReceipt {
    fn drop(&mut self) {
        if let Some(mut receipt) = self.receipt.get_mut().take() {
            receipt.duration_ms = milliseconds(self.started.elapsed());
            self.receipts.keep(receipt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_each_request_has_one_however_it_ends() {
        let receipts = Receipts::new(2);
        let ids: Vec<RequestId> = (0..3).map(|_| RequestId::new()).collect();
        for &id in &ids {
            let open = receipts.open(id, &"m".into());
            let shared = Arc::clone(&open);
            drop(open);
            assert_eq!(receipts.get(id).map(|receipt| receipt.end), None, "it runs");
            shared.ended(ReceiptEnd::Stop, ReceiptOutcome::default());
        }
        assert!(receipts.get(ids[0]).is_none());
        let recent: Vec<RequestId> = receipts.recent(9).into_iter().map(|receipt| receipt.request).collect();
        assert_eq!(recent, [ids[2], ids[1]]);
        assert_eq!(receipts.recent(1).len(), 1);
        drop(receipts.open(ids[0], &"m".into()));
        assert_eq!(receipts.get(ids[0]).map(|receipt| receipt.end), Some(ReceiptEnd::Cancelled));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let receipts = Receipts::new(0);
        drop(receipts.open(RequestId::new(), &"m".into()));
        assert!(receipts.recent(9).is_empty());
    }
}
