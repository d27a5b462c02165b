//! The router: sends each request to one of the schedulers of its model.
//!
//! Everyone else uses a [`Router`] handle. A request passes these parts:
//!
//! - `dispatcher` bounds the requests, offers each to schedulers, retries within a budget,
//!   waits for claims to end, and resumes an answer elsewhere when its scheduler fails.
//! - `actor` owns the table of schedulers. One message asks it for a scheduler; the request
//!   itself goes from the caller's own task straight to that scheduler, so that dropping
//!   the caller's future leaves nothing behind in an actor.
//! - `decision` (pure) chooses the scheduler, by the `policy`.
//! - `directory` shows which schedulers there are, with their health and their load.
//! - `claims` gives a scheduler to one holder. A request meets it only while a claim keeps
//!   its model from being served.
//!
//! This crate knows nothing of HTTP or of engines.

mod actor;
mod claims;
mod decision;
mod directory;
mod dispatcher;
mod gates;
mod metrics;
mod policy;
mod router;

pub use claims::{ClaimLedger, ClaimSelector, ClaimSpec, InProcessLedger, Lease, RecordedClaim};
pub use decision::breaker::BreakerState;
pub use decision::explain::{ConsideredScheduler, Explanation};
pub use directory::ServedModel;
pub use dispatcher::{RoutedEmbeddings, RoutedGeneration};
pub use hostler_config::{RouterConfig, RoutingPolicy};
pub use policy::Reason;
pub use router::Router;
