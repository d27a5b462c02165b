//! The ledger of several gateways' claims, in etcd.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_protocol::{RequestError, RequestId};
use hostler_router::{ClaimLedger, RecordedClaim};

use super::etcd::{Etcd, unavailable};
use super::session::Command;

/// See the module's first line. A record hangs on its gateway's lease. When a gateway
/// dies, its records end with that, and its claims by their own `ttl`, at their
/// schedulers; in between the schedulers show them.
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
        let (key, beside) = (self.0.keys().claim(claim.id), self.0.keys().claims());
        let values = self.0.order(|reply| Command::Record { key, value, beside, reply }).await?.map_err(undecided)?;
        let known = values.iter().map(|value| serde_json::from_slice::<RecordedClaim>(value));
        let mut of_model = Vec::new();
        for known in known {
            // One that cannot be read may be on the very scheduler that is wanted.
            match known {
                Ok(known) if known.model == claim.model => of_model.push(known),
                Ok(_) => {}
                Err(error) => {
                    self.forget(claim.id).await?;
                    return Err(unavailable(&format!("a claim cannot be read: {error}")));
                }
            }
        }
        Ok(of_model)
    }

    async fn forget(&self, id: RequestId) -> Result<(), RequestError> {
        let key = self.0.keys().claim(id);
        self.0.order(|reply| Command::Forget { key, reply }).await?
    }
}

/// Says what etcd has to do with it.
fn undecided(error: RequestError) -> RequestError {
    let message = format!("gateways cannot agree on claims now, so nothing is claimed: {}", error.message);
    RequestError { message, ..error }
}
