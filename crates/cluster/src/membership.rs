//! The members of the cluster, from a fixed list or from etcd.
//!
//! A [`Roster`] lists the members; [`Members`] keeps a connection to each of them and registers
//! their schedulers with the router. etcd is advisory: it tells gateways where workers are, and
//! lets gateways see each other's claims. Whether a worker is alive shows on the connection to it.
//! So while etcd is unavailable, or after it has lost its data, connected workers serve on.
//!
//! [`Etcd`] is a process's client of etcd. It runs on a thread of its own, so that load cannot
//! delay it, and holds a lease that it renews, the records that are bound to the lease, and, for a
//! gateway, the watch of the roster.

mod client;
mod etcd;
mod ledger;
mod members;
mod ownership;
mod plan;
mod roster;
mod session;
mod watch;

pub use client::EtcdOptions;
pub use etcd::{Announced, Etcd, Role};
pub use ledger::EtcdLedger;
pub use members::{KnownMember, KnownMembers, Members};
pub use roster::{Member, MemberScheduler, MemberState, Roster};
pub use session::EtcdHealth;
