//! The ledger in which gateways record claims before they make them.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use hostler_protocol::{ModelId, RequestError, RequestId, SchedulerId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A claim as it is recorded before the scheduler is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedClaim {
    /// Unique for each record.
    pub id: RequestId,
    /// The scheduler to claim.
    pub scheduler: SchedulerId,
    /// The scheduler's model.
    pub model: ModelId,
    /// The holder's name, for people to read.
    pub owner: String,
    /// How long the claim lasts without a heartbeat. A ledger that outlives its writers may
    /// drop the record of a dead one after this time.
    pub ttl: Duration,
}

/// Where gateways record claims before they make them, so that two of them do not together
/// take more schedulers than `min_serving` allows. It grants nothing: only the scheduler
/// does.
#[async_trait]
pub trait ClaimLedger: Send + Sync + 'static {
    /// Records `claim`, and returns the earlier records for its model. Of two simultaneous
    /// calls, exactly one sees the other's record, so that one of them wins.
    ///
    /// # Errors
    /// `Unavailable` if the ledger cannot be written: then nothing is claimed.
    async fn record(&self, claim: &RecordedClaim) -> Result<Vec<RecordedClaim>, RequestError>;

    /// Removes the record of a claim that was not made or has ended.
    ///
    /// # Errors
    /// `Unavailable` if the ledger cannot be written; the record then ends with its
    /// writer's lease.
    async fn forget(&self, id: RequestId) -> Result<(), RequestError>;
}

/// The in-memory ledger of a single router.
#[derive(Debug, Default)]
pub struct InProcessLedger(Mutex<HashMap<RequestId, RecordedClaim>>);

#[async_trait]
impl ClaimLedger for InProcessLedger {
    async fn record(&self, claim: &RecordedClaim) -> Result<Vec<RecordedClaim>, RequestError> {
        let mut all = self.0.lock();
        let before = all.values().filter(|other| other.model == claim.model).cloned().collect();
        all.insert(claim.id, claim.clone());
        Ok(before)
    }

    async fn forget(&self, id: RequestId) -> Result<(), RequestError> {
        self.0.lock().remove(&id);
        Ok(())
    }
}
