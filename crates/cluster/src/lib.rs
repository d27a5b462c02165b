//! Workers in other processes and on other machines.
//!
//! [`server`] puts schedulers on the network: any `Arc<dyn Scheduler>`. [`remote`] is
//! the other end: a [`remote::RemoteScheduler`] is a [`hostler_scheduler::Scheduler`]
//! like one next door, and whoever holds it cannot tell but by what fails. [`wire`] is
//! what they say to each other. This crate knows nothing of the HTTP API.

pub mod join;
pub mod listen;
pub mod membership;
pub mod remote;
pub mod server;
pub mod supervisor;
pub mod tls;
pub mod transport;
pub mod wire;

pub use listen::Listen;
pub use remote::{NodeHealth, NodeView, RemoteNode, RemoteOptions, RemoteScheduler};
pub use server::{WorkerOptions, WorkerServer};
