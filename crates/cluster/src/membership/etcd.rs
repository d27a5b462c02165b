//! One process's dealings with etcd, on a thread of its own.

use std::io;
use std::time::Instant;

use hostler_protocol::{ErrorCode, RequestError};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use super::calls::EtcdOptions;
use super::records::{Keys, Member, Standing};
use super::roster::Roster;
use super::session::{Command, Session};
use super::watch::keep_watching;

/// Orders that may wait for their turn. Claims are few, and one order takes one call or
/// two, each of which has failed after 2 s.
const ORDERS_MAX: usize = 64;

/// What a process is to etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes down that it is there.
    Worker,
    /// It reads who is there, and writes down claims.
    Gateway,
}

/// How etcd fares, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdHealth {
    /// Why it cannot be used; `None` while it can.
    pub failure: Option<String>,
    /// Since when that is so.
    pub since: Instant,
}

/// See the module's first line. Dropping it ends the lease, and with it all that this
/// process has written down, as [`leave`](Self::leave) does, but nobody waits for it.
pub struct Etcd {
    keys: Keys,
    orders: mpsc::Sender<Command>,
    health: watch::Receiver<EtcdHealth>,
    roster: watch::Receiver<Roster>,
}

impl Etcd {
    /// Begins, whether etcd is there or not: it is tried until it is.
    ///
    /// # Errors
    /// If there can be no further thread.
    pub fn start(options: EtcdOptions, role: Role) -> io::Result<Self> {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let not_yet = EtcdHealth { failure: Some("it has not been reached yet".to_owned()), since: Instant::now() };
        let (health_out, health) = watch::channel(not_yet);
        let (roster_out, roster) = watch::channel(Roster::default());
        let keys = Keys::new(&options.prefix);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let nodes = keys.nodes();
        std::thread::Builder::new().name("etcd".to_owned()).spawn(move || {
            // Boxed: the futures of the client are large, and a thread's stack is not.
            runtime.block_on(Box::pin(async move {
                if role == Role::Gateway {
                    tokio::spawn(Box::pin(keep_watching(options.clone(), nodes, roster_out)));
                }
                Box::pin(Session::new(options, received, health_out).run()).await;
            }));
        })?;
        Ok(Self { keys, orders, health, roster })
    }

    /// How it fares.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<EtcdHealth> {
        self.health.clone()
    }

    /// Who is there, for a gateway: nobody until etcd has been reached once, and what
    /// was known last while it is away.
    #[must_use]
    pub fn roster(&self) -> watch::Receiver<Roster> {
        self.roster.clone()
    }

    /// Writes down what a worker is, now and whenever it is lost. Returns when it
    /// stands there, or could not be written at once.
    ///
    /// # Errors
    /// `Unavailable`, if etcd is away: it is written when it is back.
    pub async fn announce(&self, name: &str, member: &Member) -> Result<(), RequestError> {
        let value = serde_json::to_vec(member).map_err(|error| unavailable(&error.to_string()))?;
        let key = self.keys.node(name);
        // A former process of the name is told from this one by its record. Who leaves does
        // not write over the one that has come.
        let if_ours = member.standing == Standing::Leaving;
        self.order(|reply| Command::Announce { key, value, if_ours, reply }).await?
    }

    /// Ends the lease, and with it all that this process has written down, and writes
    /// nothing more. If etcd is away, the lease ends by itself.
    pub async fn leave(&self) {
        let left = self.order(|reply| Command::Leave { reply }).await;
        if let Err(error) = left.and_then(|left| left) {
            tracing::warn!(%error, "etcd does not hear that this process ends; its lease ends by itself");
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) async fn order<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        let gone = || unavailable("its thread has ended");
        self.orders.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

pub(super) fn unavailable(why: &str) -> RequestError {
    RequestError::new(ErrorCode::Unavailable, format!("etcd cannot be used: {why}"))
}
