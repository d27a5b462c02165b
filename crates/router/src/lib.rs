//! The router: which scheduler serves a request.
//!
//! The gateway holds a [`Router`] handle. Behind it the `RouterActor` owns the
//! table of schedulers and the policy: one message asks it for a scheduler, and
//! the request then goes from the caller's own task straight to that scheduler,
//! so a caller that leaves stops its request and nothing is left behind in an
//! actor. This crate knows nothing of HTTP or of engines.

mod actor;
mod breaker;
mod budget;
mod claims;
mod config;
mod dispatch;
mod entry;
mod explain;
mod handle;
mod health;
mod in_flight;
mod messages;
mod metrics;
mod migration;
mod policy;
mod retry;
mod slow_start;
mod state;

pub use breaker::{BreakerConfig, BreakerState};
pub use budget::BudgetConfig;
pub use claims::{ClaimLedger, ClaimSelector, ClaimSpec, InProcessLedger, Lease, RecordedClaim};
pub use config::{MigrationConfig, RouterConfig};
pub use explain::{ConsideredScheduler, Explanation};
pub use handle::{RoutedEmbeddings, RoutedGeneration, Router, ServedModel};
pub use policy::{Policy, Reason};
