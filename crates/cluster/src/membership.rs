//! Who is in the cluster: a list that does not change, or what etcd says.
//!
//! A [`Roster`] is what is known of the members; [`Members`] keeps a connection to
//! each and gives their schedulers to the router. etcd is advisory: it tells gateways
//! where workers are, and lets gateways see each other's claims. Whether a worker
//! lives is seen on the connection to it. So while etcd is away, or has lost what it
//! knew, whoever is connected goes on serving.
//!
//! An [`Etcd`] is one process's dealings with it, on a thread of its own which no load
//! can starve: a lease that is renewed, the records that hang on it, and, for a
//! gateway, the watched roster.

mod calls;
mod etcd;
mod ledger;
mod members;
mod plan;
mod records;
mod roster;
mod session;
mod watch;

pub use calls::EtcdOptions;
pub use etcd::{Etcd, EtcdHealth, Role};
pub use ledger::EtcdLedger;
pub use members::{KnownMember, KnownMembers, Members};
pub use records::{Member, MemberScheduler, Standing};
pub use roster::Roster;
