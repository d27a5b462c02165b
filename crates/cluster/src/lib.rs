//! Workers in other processes and on other machines.
//!
//! [`server`] serves schedulers (any `Arc<dyn Scheduler>`) over gRPC. [`remote`] is the client: a
//! [`RemoteScheduler`] implements [`hostler_scheduler::Scheduler`] like a local one, and differs
//! only in how it can fail. [`wire`] has their messages, [`membership`] says which workers there
//! are, and [`supervisor`] runs workers as child processes. This crate knows nothing of the HTTP
//! API.

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
