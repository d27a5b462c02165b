//! The endpoints for administrators: the cluster, its schedulers, claims, routing.

pub(super) mod claims;
pub(super) mod cluster;
pub(super) mod explain;
pub(super) mod keys;
pub(super) mod receipts;
pub mod types;
