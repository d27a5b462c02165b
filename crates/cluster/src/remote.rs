//! The gateway's end: a worker's schedulers, used like local ones.
//!
//! A [`RemoteNode`] keeps a few connections to one worker, which all streams share, and watches
//! the worker. While the worker is lost, its schedulers are `Failed` with the reason, and the
//! requests that ran there end with an error after which another scheduler may continue them.
//! The schedulers recover when the worker is back.

mod call;
mod link;
mod node;
mod options;
mod rpc;
mod scheduler;
mod stream;
mod watcher;

pub use node::{NodeView, RemoteNode};
pub use options::{EndpointError, RemoteOptions};
pub use scheduler::RemoteScheduler;
pub use watcher::{NodeHealth, Schedulers};
