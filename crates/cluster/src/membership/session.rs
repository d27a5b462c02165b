//! A lease in etcd with the records that are bound to it: renewed while etcd is available, and
//! created again when it is back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etcd_client::{Client, Compare, CompareOp, GetOptions, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp};
use hostler_protocol::RequestError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::client::{BACKOFF, EtcdOptions, Failure, connect, in_time, unavailable};
use super::ownership::{Finding, Found, judge};
use super::roster::Member;

/// Renewals per lease. When one fails, the session has the time of two to get another lease before
/// the records expire.
const RENEWALS_PER_LEASE: u32 = 3;

/// The values of several keys.
pub(super) type Values = Vec<Vec<u8>>;

/// A command to the session. Each one is answered.
pub(super) enum Command {
    /// Write a record now, or when etcd is back, and again whenever it is lost. The answer names
    /// the process that has the key, if another one does; the record is written when it has gone.
    Announce { key: String, value: Vec<u8>, reply: oneshot::Sender<Result<Option<Member>, RequestError>> },
    /// Write a record now or never. The answer has the older records below `prefix`.
    Record { key: String, value: Vec<u8>, prefix: String, reply: oneshot::Sender<Result<Values, RequestError>> },
    /// Delete a record, now or when etcd is back.
    Forget { key: String, reply: oneshot::Sender<Result<(), RequestError>> },
    /// Revoke the lease, and end the session.
    Leave { reply: oneshot::Sender<Result<(), RequestError>> },
}

/// Whether etcd can be used, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdHealth {
    /// Why it cannot be used; `None` while it can.
    pub failure: Option<String>,
    /// Since when this is so.
    pub since: Instant,
}

/// The state of one process's lease and records.
pub(super) struct Session {
    options: EtcdOptions,
    commands: mpsc::Receiver<Command>,
    health: watch::Sender<EtcdHealth>,
    /// The wanted records; `None` for a record that may exist and is to be deleted.
    records: BTreeMap<String, Option<Wanted>>,
}

/// A record that this process wants to have.
struct Wanted {
    value: Vec<u8>,
    /// Whether it has had it.
    was_held: bool,
    /// Who has it instead.
    holder: Option<Member>,
}

impl Wanted {
    fn new(value: Vec<u8>) -> Self {
        Self { value, was_held: false, holder: None }
    }
}

/// A lease that etcd has granted.
struct Lease {
    client: Client,
    id: i64,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// How a session with a lease ended.
enum End {
    /// A call failed.
    Lost(Failure),
    /// The process leaves.
    Left,
}

impl Session {
    pub(super) fn new(
        options: EtcdOptions,
        commands: mpsc::Receiver<Command>,
        health: watch::Sender<EtcdHealth>,
    ) -> Self {
        Self { options, commands, health, records: BTreeMap::new() }
    }

    /// Runs until it is told to leave, or its handle is dropped.
    pub(super) async fn run(mut self) {
        let mut attempts = BACKOFF.attempts();
        loop {
            let failure = match Box::pin(self.begin()).await {
                Ok(lease) => {
                    attempts.reset();
                    self.report(None);
                    match Box::pin(self.keep(lease)).await {
                        End::Lost(failure) => failure,
                        End::Left => return,
                    }
                }
                Err(failure) => failure,
            };
            self.report(Some(failure.clone()));
            if !self.refuse_commands_for(attempts.next_pause(), &failure).await {
                return;
            }
        }
    }

    /// Gets a lease, and writes all records under it.
    async fn begin(&mut self) -> Result<Lease, Failure> {
        let mut client = connect(&self.options).await?;
        let seconds = i64::try_from(self.options.config.lease.as_secs()).unwrap_or(i64::MAX);
        let id = in_time(client.lease_grant(seconds, None)).await?.id();
        let (keeper, answers) = in_time(client.lease_keep_alive(id)).await?;
        let mut lease = Lease { client, id, keeper, answers };
        for key in self.records.iter().filter(|(_, wanted)| wanted.is_none()).map(|(key, _)| key) {
            lease.delete(key).await?;
        }
        self.records.retain(|_, wanted| wanted.is_some());
        self.restore(&mut lease).await?;
        Ok(lease)
    }

    /// Writes the records that are not in etcd as they should be.
    async fn restore(&mut self, lease: &mut Lease) -> Result<(), Failure> {
        for (key, wanted) in &mut self.records {
            if let Some(wanted) = wanted {
                lease.hold(key, wanted).await?;
            }
        }
        Ok(())
    }

    /// Renews the lease and executes commands.
    async fn keep(&mut self, mut lease: Lease) -> End {
        let mut ticks = interval(self.options.config.lease / RENEWALS_PER_LEASE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                _ = ticks.tick() => match lease.renew().await {
                    Ok(()) => self.restore(&mut lease).await,
                    Err(failure) => Err(failure),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Leave { reply }) => {
                        let _closed = reply.send(lease.revoke().await.map_err(|why| unavailable(&why)));
                        return End::Left;
                    }
                    Some(command) => self.execute(command, &mut lease).await,
                    None => {
                        if let Err(why) = lease.revoke().await {
                            tracing::debug!(why, "cannot revoke the lease; it will expire");
                        }
                        return End::Left;
                    }
                },
            };
            if let Err(failure) = done {
                return End::Lost(failure);
            }
        }
    }

    async fn execute(&mut self, command: Command, lease: &mut Lease) -> Result<(), Failure> {
        match command {
            Command::Announce { key, value, reply } => {
                self.want(key.clone(), value);
                let done = match self.records.get_mut(&key) {
                    Some(Some(wanted)) => lease.hold(&key, wanted).await.map(|()| wanted.holder.clone()),
                    _ => Ok(None),
                };
                reply_with(reply, done)
            }
            Command::Record { key, value, prefix, reply } => {
                let done = lease.put_and_list(&key, &value, &prefix).await;
                // After a failure the record may have been written nonetheless, so it is deleted.
                self.records.insert(key, done.is_ok().then(|| Wanted { was_held: true, ..Wanted::new(value) }));
                reply_with(reply, done)
            }
            Command::Forget { key, reply } => {
                let done = lease.delete(&key).await;
                if done.is_ok() {
                    self.records.remove(&key);
                } else {
                    self.records.insert(key, None);
                }
                reply_with(reply, done)
            }
            Command::Leave { reply } => reply_with(reply, Ok(())),
        }
    }

    /// Changes the value of a record, or adds it.
    fn want(&mut self, key: String, value: Vec<u8>) {
        match self.records.get_mut(&key) {
            Some(Some(wanted)) => wanted.value = value,
            _ => drop(self.records.insert(key, Some(Wanted::new(value)))),
        }
    }

    /// Refuses all commands for a while because etcd is unavailable, and remembers what to write
    /// when it is back. Returns whether the session continues.
    async fn refuse_commands_for(&mut self, pause: Duration, failure: &str) -> bool {
        let refused = || Err(unavailable(failure));
        let end = tokio::time::Instant::now() + pause;
        loop {
            let Ok(command) = tokio::time::timeout_at(end, self.commands.recv()).await else { return true };
            match command {
                Some(Command::Announce { key, value, reply }) => {
                    self.want(key, value);
                    let _closed = reply.send(Err(unavailable(failure)));
                }
                Some(Command::Record { reply, .. }) => {
                    let _closed = reply.send(Err(unavailable(failure)));
                }
                Some(Command::Forget { key, reply }) => {
                    self.records.insert(key, None);
                    let _closed = reply.send(refused());
                }
                Some(Command::Leave { reply }) => {
                    let _closed = reply.send(refused());
                    return false;
                }
                None => return false,
            }
        }
    }

    fn report(&self, failure: Option<Failure>) {
        let endpoints = self.options.config.endpoints.join(", ");
        self.health.send_if_modified(|health| {
            let changed = health.failure.is_some() != failure.is_some();
            match (&failure, changed) {
                (None, _) => tracing::info!(endpoints, "connected to etcd"),
                (Some(why), true) => {
                    tracing::warn!(endpoints, why, "etcd is unavailable; serving with the last known members");
                }
                (Some(why), false) => tracing::debug!(endpoints, why, "etcd is still unavailable"),
            }
            if changed {
                health.since = Instant::now();
            }
            let is_news = health.failure != failure;
            health.failure = failure;
            is_news
        });
    }
}

/// Replies to a command, and returns the failure, if any.
fn reply_with<T>(reply: oneshot::Sender<Result<T, RequestError>>, done: Result<T, Failure>) -> Result<(), Failure> {
    let (answer, result) = match done {
        Ok(value) => (Ok(value), Ok(())),
        Err(why) => (Err(unavailable(&why)), Err(why)),
    };
    let _closed = reply.send(answer);
    result
}

impl Lease {
    async fn put(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let under = PutOptions::new().with_lease(self.id);
        in_time(self.client.put(key, value, Some(under))).await.map(drop)
    }

    /// Writes a record unless it is there, or another process has its key.
    async fn hold(&mut self, key: &str, wanted: &mut Wanted) -> Result<(), Failure> {
        let listed = in_time(self.client.get(key, None)).await?;
        let found = listed.kvs().first();
        let finding = judge(
            &wanted.value,
            self.id,
            found.map(|record| Found { value: record.value(), lease: record.lease() }),
            !wanted.was_held,
        );
        let holder = match finding {
            Finding::Ours => None,
            Finding::Write => {
                let revision = found.map_or(0, |record| record.mod_revision());
                if wanted.was_held && found.is_none_or(|record| record.lease() != self.id) {
                    tracing::info!(key, "this process's record in etcd was lost or overwritten; writing it again");
                }
                // Otherwise the record has just changed, and the next renewal looks again.
                if !self.put_at(key, &wanted.value, revision).await? {
                    return Ok(());
                }
                None
            }
            Finding::HeldBy(holder) => Some(holder),
        };
        if let Some(holder) = holder.as_ref().filter(|_| wanted.holder.is_none()) {
            tracing::warn!(
                key,
                endpoint = holder.endpoint,
                instance = holder.instance,
                "another process has this name"
            );
        }
        wanted.was_held |= holder.is_none();
        wanted.holder = holder;
        Ok(())
    }

    /// Writes a record if it has not changed since `revision`, or does not exist if that is 0.
    async fn put_at(&mut self, key: &str, value: &[u8], revision: i64) -> Result<bool, Failure> {
        let under = PutOptions::new().with_lease(self.id);
        let unchanged = Compare::mod_revision(key, CompareOp::Equal, revision);
        let put = Txn::new().when([unchanged]).and_then([TxnOp::put(key, value, Some(under))]);
        Ok(in_time(self.client.txn(put)).await?.succeeded())
    }

    async fn put_and_list(&mut self, key: &str, value: &[u8], prefix: &str) -> Result<Values, Failure> {
        self.put(key, value).await?;
        // Reads are linearizable by default, so this includes every earlier write of any gateway.
        let listed = in_time(self.client.get(prefix, Some(GetOptions::new().with_prefix()))).await?;
        let own = listed.kvs().iter().find(|record| record.key() == key.as_bytes());
        let own = own.ok_or("the lease expired during the write")?.create_revision();
        let before = listed.kvs().iter().filter(|record| record.create_revision() < own);
        Ok(before.map(|record| record.value().to_vec()).collect())
    }

    async fn delete(&mut self, key: &str) -> Result<(), Failure> {
        in_time(self.client.delete(key, None)).await.map(drop)
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        in_time(self.keeper.keep_alive()).await?;
        match in_time(self.answers.message()).await? {
            Some(renewed) if renewed.ttl() > 0 => Ok(()),
            Some(_) => Err("the lease has expired".to_owned()),
            None => Err("it closed the stream".to_owned()),
        }
    }

    async fn revoke(&mut self) -> Result<(), Failure> {
        in_time(self.client.lease_revoke(self.id)).await.map(drop)
    }
}
