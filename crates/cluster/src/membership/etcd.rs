//! This process's client of etcd, which runs on a thread of its own.

use std::io;
use std::time::{Duration, Instant};

use hostler_protocol::RequestError;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use super::client::{EtcdOptions, unavailable};
use super::roster::{Keys, Member, Roster};
use super::session::{Command, EtcdHealth, Session};
use super::watch::keep_watching;

/// Capacity of the command queue. Claims are rare, and a command takes at most two calls, each of
/// which fails after 2 s.
const COMMANDS_MAX: usize = 64;

/// What a process does with etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It registers itself.
    Worker,
    /// It watches the workers, and records claims.
    Gateway,
}

/// The outcome of [`Etcd::announce`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The record is in etcd.
    Written,
    /// Another process has the name. The record is written when it has gone.
    HeldBy(Box<Member>),
}

/// A client of etcd. Dropping it ends the lease, and with it all records of this process, as
/// [`leave`](Self::leave) does, but without waiting for it.
pub struct Etcd {
    keys: Keys,
    lease: Duration,
    commands: mpsc::Sender<Command>,
    health: watch::Receiver<EtcdHealth>,
    roster: watch::Receiver<Roster>,
}

impl Etcd {
    /// Starts the thread. It tries to reach etcd until it succeeds.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub fn start(options: EtcdOptions, role: Role) -> io::Result<Self> {
        let (commands, commands_out) = mpsc::channel(COMMANDS_MAX);
        let unreached = EtcdHealth { failure: Some("it has not been reached yet".to_owned()), since: Instant::now() };
        let (health_in, health) = watch::channel(unreached);
        let (roster_in, roster) = watch::channel(Roster::default());
        let (keys, lease) = (Keys::new(&options.config.prefix), options.config.lease);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let nodes = keys.nodes();
        std::thread::Builder::new().name("etcd".to_owned()).spawn(move || {
            // Boxed, because the client's futures are large for the stack of a thread.
            runtime.block_on(Box::pin(async move {
                if role == Role::Gateway {
                    tokio::spawn(Box::pin(keep_watching(options.clone(), nodes, roster_in)));
                }
                Box::pin(Session::new(options, commands_out, health_in).run()).await;
            }));
        })?;
        Ok(Self { keys, lease, commands, health, roster })
    }

    /// Whether etcd can be used.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<EtcdHealth> {
        self.health.clone()
    }

    /// The workers, for a gateway: empty until etcd has been reached once, and the last known
    /// ones while etcd is unavailable.
    #[must_use]
    pub fn roster(&self) -> watch::Receiver<Roster> {
        self.roster.clone()
    }

    /// Writes a worker's record, now and again whenever it is lost or overwritten. Returns after
    /// the first attempt. A name belongs to the process that has its record, until its lease ends;
    /// only a process at the same endpoint takes it over before that.
    ///
    /// # Errors
    /// `Unavailable` if etcd is: the record is written when etcd is back.
    pub async fn announce(&self, name: &str, member: &Member) -> Result<Announced, RequestError> {
        let value = serde_json::to_vec(member).map_err(|error| unavailable(&error.to_string()))?;
        let key = self.keys.node(name);
        let holder = self.send(|reply| Command::Announce { key, value, reply }).await??;
        Ok(holder.map_or(Announced::Written, |holder| Announced::HeldBy(Box::new(holder))))
    }

    /// How long the record of a process that was killed remains.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Ends the lease, and with it all records of this process, and writes no more. If etcd is
    /// unavailable, the lease expires.
    pub async fn leave(&self) {
        let left = self.send(|reply| Command::Leave { reply }).await;
        if let Err(error) = left.and_then(|left| left) {
            tracing::warn!(%error, "cannot revoke the etcd lease; it will expire");
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Sends a command to the thread, and waits for the reply.
    pub(super) async fn send<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        let gone = || unavailable("its thread has ended");
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}
