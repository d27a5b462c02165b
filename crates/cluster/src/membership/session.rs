//! A lease, and the records that hang on it: renewed while etcd is there, made again
//! when it is back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etcd_client::{Client, Compare, CompareOp, GetOptions, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp};
use hostler_protocol::RequestError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::calls::{BACKOFF, EtcdOptions, Failure, connect, in_time};
use super::etcd::{EtcdHealth, unavailable};

/// Renewals in one lease. One that fails ends the session, and leaves the time of two to
/// begin another before the records end.
const RENEWALS_PER_LEASE: u32 = 3;

/// Values of several keys.
pub(super) type Values = Vec<Vec<u8>>;

/// What the session is told. Every one is answered.
pub(super) enum Command {
    /// To be written now, or when etcd is back. With `if_ours` only in place of what this
    /// process wrote: another one may have taken the key over.
    Announce { key: String, value: Vec<u8>, if_ours: bool, reply: oneshot::Sender<Result<(), RequestError>> },
    /// To be written now or not at all. The answer is what stood below `beside` before.
    Record { key: String, value: Vec<u8>, beside: String, reply: oneshot::Sender<Result<Values, RequestError>> },
    /// To be taken back, now or when etcd is back.
    Forget { key: String, reply: oneshot::Sender<Result<(), RequestError>> },
    /// The lease is to end.
    Leave { reply: oneshot::Sender<Result<(), RequestError>> },
}

/// See the module's first line.
pub(super) struct Session {
    options: EtcdOptions,
    orders: mpsc::Receiver<Command>,
    health: watch::Sender<EtcdHealth>,
    /// What shall stand in etcd; `None`: what may stand there and shall not.
    records: BTreeMap<String, Option<Vec<u8>>>,
}

/// A lease that etcd has granted.
struct Lease {
    client: Client,
    id: i64,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// How a connected time ended.
enum End {
    /// Etcd was lost.
    Lost(Failure),
    /// The session is over.
    Left,
}

impl Session {
    pub(super) fn new(
        options: EtcdOptions,
        orders: mpsc::Receiver<Command>,
        health: watch::Sender<EtcdHealth>,
    ) -> Self {
        Self { options, orders, health, records: BTreeMap::new() }
    }

    /// Goes on until it is told to leave, or nobody is there to tell.
    pub(super) async fn run(mut self) {
        let mut backoff = BACKOFF.0;
        loop {
            let failure = match Box::pin(self.begin()).await {
                Ok(lease) => {
                    backoff = BACKOFF.0;
                    self.report(None);
                    match Box::pin(self.keep(lease)).await {
                        End::Lost(failure) => failure,
                        End::Left => return,
                    }
                }
                Err(failure) => failure,
            };
            self.report(Some(failure.clone()));
            if !self.refuse_for(backoff, &failure).await {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Gets a lease, and writes everything down under it.
    async fn begin(&mut self) -> Result<Lease, Failure> {
        let mut client = connect(&self.options).await?;
        let seconds = i64::try_from(self.options.lease.as_secs()).unwrap_or(i64::MAX);
        let id = in_time(client.lease_grant(seconds, None)).await?.id();
        let (keeper, answers) = in_time(client.lease_keep_alive(id)).await?;
        let mut lease = Lease { client, id, keeper, answers };
        for (key, value) in &self.records {
            match value {
                Some(value) => lease.put(key, value).await?,
                None => lease.delete(key).await?,
            }
        }
        self.records.retain(|_, value| value.is_some());
        Ok(lease)
    }

    /// Renews the lease and does what it is told.
    async fn keep(&mut self, mut lease: Lease) -> End {
        let mut ticks = interval(self.options.lease / RENEWALS_PER_LEASE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                _ = ticks.tick() => lease.renew().await,
                command = self.orders.recv() => match command {
                    Some(Command::Leave { reply }) => {
                        let _left = reply.send(lease.revoke().await.map_err(|why| unavailable(&why)));
                        return End::Left;
                    }
                    Some(command) => self.obey(command, &mut lease).await,
                    None => {
                        if let Err(why) = lease.revoke().await {
                            tracing::debug!(why, "a lease is left to its end");
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

    async fn obey(&mut self, command: Command, lease: &mut Lease) -> Result<(), Failure> {
        match command {
            Command::Announce { key, value, if_ours, reply } => {
                let done = if if_ours { lease.replace(&key, &value).await } else { lease.put(&key, &value).await };
                self.records.insert(key, Some(value));
                answer(reply, done)
            }
            Command::Record { key, value, beside, reply } => {
                let done = lease.put_and_list(&key, &value, &beside).await;
                // If it failed, it may stand there all the same.
                self.records.insert(key, done.is_ok().then_some(value));
                answer(reply, done)
            }
            Command::Forget { key, reply } => {
                let done = lease.delete(&key).await;
                if done.is_ok() {
                    self.records.remove(&key);
                } else {
                    self.records.insert(key, None);
                }
                answer(reply, done)
            }
            Command::Leave { reply } => answer(reply, Ok(())),
        }
    }

    /// Says of every order for so long that etcd is away, and keeps in mind what is to
    /// be written later. Whether the session goes on.
    async fn refuse_for(&mut self, pause: Duration, failure: &str) -> bool {
        let refused = || Err(unavailable(failure));
        let end = tokio::time::Instant::now() + pause;
        loop {
            let Ok(command) = tokio::time::timeout_at(end, self.orders.recv()).await else { return true };
            match command {
                Some(Command::Announce { key, value, reply, .. }) => {
                    self.records.insert(key, Some(value));
                    let _left = reply.send(refused());
                }
                Some(Command::Record { reply, .. }) => {
                    let _left = reply.send(Err(unavailable(failure)));
                }
                Some(Command::Forget { key, reply }) => {
                    self.records.insert(key, None);
                    let _left = reply.send(refused());
                }
                Some(Command::Leave { reply }) => {
                    let _left = reply.send(refused());
                    return false;
                }
                None => return false,
            }
        }
    }

    fn report(&self, failure: Option<Failure>) {
        let endpoints = self.options.endpoints.join(", ");
        self.health.send_if_modified(|health| {
            let changed = health.failure.is_some() != failure.is_some();
            match (&failure, changed) {
                (None, _) => tracing::info!(endpoints, "connected to etcd"),
                (Some(why), true) => tracing::warn!(endpoints, why, "etcd is away; what is known goes on"),
                (Some(why), false) => tracing::debug!(endpoints, why, "etcd is still away"),
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

/// Tells who asked, and passes the failure on.
fn answer<T>(reply: oneshot::Sender<Result<T, RequestError>>, done: Result<T, Failure>) -> Result<(), Failure> {
    let (told, result) = match done {
        Ok(value) => (Ok(value), Ok(())),
        Err(why) => (Err(unavailable(&why)), Err(why)),
    };
    let _left = reply.send(told);
    result
}

impl Lease {
    async fn put(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let under = PutOptions::new().with_lease(self.id);
        in_time(self.client.put(key, value, Some(under))).await.map(drop)
    }

    /// Puts in place of what hangs on this very lease, or not at all.
    async fn replace(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let under = PutOptions::new().with_lease(self.id);
        let ours = Compare::lease(key, CompareOp::Equal, self.id);
        let put = Txn::new().when([ours]).and_then([TxnOp::put(key, value, Some(under))]);
        if !in_time(self.client.txn(put)).await?.succeeded() {
            tracing::warn!(key, "another process has written this record, and it stays as it is");
        }
        Ok(())
    }

    async fn put_and_list(&mut self, key: &str, value: &[u8], prefix: &str) -> Result<Values, Failure> {
        self.put(key, value).await?;
        // Linearizable by default: what was written before is in it, whoever wrote it.
        let listed = in_time(self.client.get(prefix, Some(GetOptions::new().with_prefix()))).await?;
        let own = listed.kvs().iter().find(|record| record.key() == key.as_bytes());
        let own = own.ok_or("the lease ended as it was written")?.create_revision();
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
