//! The router: sends each request to one of the schedulers of its model.
//!
//! Everyone else uses a [`Router`] handle. A request passes these parts:
//!
//! - `dispatcher` bounds the requests, offers each to schedulers, retries within a budget,
//!   waits for claims to end, and resumes an answer elsewhere when its scheduler fails.
//! - `chooser` finds it a scheduler, in the caller's own task, so that dropping the caller's
//!   future leaves nothing behind in an actor.
//! - `directory` has a table for each model, with the state, the health and the load of its
//!   schedulers. `actor` owns joins and leaves.
//! - `decision` (pure) chooses the scheduler, by the `policy`.
//! - `receipts` keeps what was decided for each request and how it ended.
//! - `claims` gives a scheduler to one holder. A request meets it only while a claim keeps
//!   its model from being served.
//!
//! This crate knows nothing of HTTP or of engines.

mod actor;
mod chooser;
mod claims;
mod decision;
mod directory;
mod dispatcher;
mod gates;
mod metrics;
mod policy;
mod receipts;
mod router;

pub use claims::{ClaimLedger, ClaimSelector, ClaimSpec, InProcessLedger, Lease, RecordedClaim};
pub use decision::breaker::BreakerState;
pub use decision::explain::{ConsideredScheduler, Explanation};
pub use directory::ServedModel;
pub use dispatcher::{RoutedEmbeddings, RoutedGeneration};
pub use hostler_config::{RouterConfig, RoutingPolicy};
pub use policy::Reason;
pub use receipts::{Receipt, ReceiptCandidate, ReceiptDecision, ReceiptEnd, ReceiptOutcome};
pub use router::Router;
