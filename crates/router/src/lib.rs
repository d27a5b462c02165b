//! The router: which scheduler serves a request.
//!
//! The gateway holds a [`Router`] handle. Behind it the `RouterActor` owns the
//! table of schedulers and the policy. This crate knows nothing of HTTP or of
//! engines.

mod handle;

pub use handle::{RoutedGeneration, Router, ServedModel};
