//! The ledger of claims that several gateways share, in etcd.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_protocol::{RequestError, RequestId};
use hostler_router::{ClaimLedger, RecordedClaim};

use super::client::unavailable;
use super::etcd::Etcd;
use super::session::Command;

/// The ledger in etcd. A record is bound to its gateway's lease. If the gateway dies, its records
/// expire with the lease, and its claims expire at their schedulers after their `ttl`; until then
/// the schedulers show them.
pub struct EtcdLedger(Arc<Etcd>);

impl EtcdLedger {
    /// The ledger in this etcd.
    #[must_use]
    pub fn new(etcd: Arc<Etcd>) -> Self {
        Self(etcd)
    }
}

#[async_trait]
impl ClaimLedger for EtcdLedger {
    async fn record(&self, claim: &RecordedClaim) -> Result<Vec<RecordedClaim>, RequestError> {
        let value = serde_json::to_vec(claim).map_err(|error| unavailable(&error.to_string()))?;
        let (key, prefix) = (self.0.keys().claim(claim.id), self.0.keys().claims());
        let records = self.0.send(|reply| Command::Record { key, value, prefix, reply }).await?;
        let mut earlier = Vec::new();
        for record in records.map_err(undecided)? {
            // A record that cannot be parsed may be a claim of the same scheduler.
            match serde_json::from_slice::<RecordedClaim>(&record) {
                Ok(other) if other.model == claim.model => earlier.push(other),
                Ok(_) => {}
                Err(error) => {
                    self.forget(claim.id).await?;
                    return Err(unavailable(&format!("the record of a claim is invalid: {error}")));
                }
            }
        }
        Ok(earlier)
    }

    async fn forget(&self, id: RequestId) -> Result<(), RequestError> {
        let key = self.0.keys().claim(id);
        self.0.send(|reply| Command::Forget { key, reply }).await?
    }
}

/// Explains why a claim needs etcd.
fn undecided(error: RequestError) -> RequestError {
    let message = format!("gateways cannot agree on claims, so none is granted: {}", error.message);
    RequestError { message, ..error }
}
