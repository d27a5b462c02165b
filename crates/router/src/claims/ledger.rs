//! Where gateways write down the claims that they are about to make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hostler_protocol::{ModelId, RequestError, RequestId, SchedulerId};
use serde::{Deserialize, Serialize};

/// A claim as it is written down, before the scheduler is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedClaim {
    /// Tells it from every other.
    pub id: RequestId,
    /// The scheduler that is claimed.
    pub scheduler: SchedulerId,
    /// The model that it serves.
    pub model: ModelId,
    /// Who wants it, for people to read.
    pub owner: String,
    /// How long it lasts without a heartbeat: a ledger that outlives its writers
    /// may drop the record of one that died after this time.
    pub ttl: Duration,
}

/// Where gateways write down the claims that they are about to make, so that two
/// of them do not together take more schedulers than `min_serving` allows. It
/// grants nothing: that is for the scheduler alone.
#[async_trait]
pub trait ClaimLedger: Send + Sync + 'static {
    /// Writes `claim` down, and gives what stood written for its model before. Of two
    /// that write at once exactly one gets to see the other, so that one of them wins.
    ///
    /// # Errors
    /// `Unavailable`, if nothing can be written: then nothing is claimed.
    async fn record(&self, claim: &RecordedClaim) -> Result<Vec<RecordedClaim>, RequestError>;

    /// The claim was not made, or has ended.
    ///
    /// # Errors
    /// `Unavailable`, if nothing can be written; the record then ends with its
    /// writer's own lease.
    async fn forget(&self, id: RequestId) -> Result<(), RequestError>;
}

/// The ledger of a router that is the only one: kept in memory.
#[derive(Debug, Default)]
pub struct InProcessLedger(Mutex<HashMap<RequestId, RecordedClaim>>);

#[async_trait]
impl ClaimLedger for InProcessLedger {
    async fn record(&self, claim: &RecordedClaim) -> Result<Vec<RecordedClaim>, RequestError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.values().filter(|other| other.model == claim.model).cloned().collect();
        all.insert(claim.id, claim.clone());
        Ok(before)
    }

    async fn forget(&self, id: RequestId) -> Result<(), RequestError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }
}
