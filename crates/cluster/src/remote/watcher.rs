//! Watches one worker: what it says of its schedulers, and whether it says anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_scheduler::SchedulerSnapshot;
use hostler_telemetry::Relay;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::link::Link;
use super::{NodeHealth, RemoteOptions, RemoteScheduler, Schedulers};
use crate::transport::RECONNECT_BACKOFF;
use crate::wire::{self, Malformed, proto};

/// Into so many parts the longest silence is cut. When this process was stopped itself,
/// or starved, one part is over as it wakes, and not the whole silence.
const SILENCE_PARTS: u32 = 6;

/// See the module's first line.
pub(super) struct Watcher {
    link: Arc<Link>,
    qualify_names: bool,
    silence_max: Duration,
    metrics: Option<Relay>,
    schedulers: watch::Sender<Schedulers>,
    health: watch::Sender<NodeHealth>,
}

/// How a worker was lost.
enum Loss {
    /// It cannot be reached, or refuses.
    Unreachable(String),
    /// The connection broke. If it was the connection alone, what runs on others goes on.
    Broken(String),
    /// It says nothing any more.
    Silent(String),
}

impl Watcher {
    pub(super) fn new(
        link: Arc<Link>,
        options: &RemoteOptions,
    ) -> (Self, watch::Receiver<Schedulers>, watch::Receiver<NodeHealth>) {
        let expected = options
            .expected
            .iter()
            .map(|expected| Arc::new(RemoteScheduler::new(expected.id.clone(), Arc::clone(&link), expected.clone())));
        let (schedulers, known) = watch::channel(expected.collect());
        let (health, healthy) = watch::channel(NodeHealth {
            failure: Some("it has not been reached yet".to_owned()),
            ..NodeHealth::default()
        });
        let RemoteOptions { silence_max, qualify_names, .. } = *options;
        let metrics = options.metrics.clone();
        (Self { link, qualify_names, silence_max, metrics, schedulers, health }, known, healthy)
    }

    /// Goes on until it is aborted.
    pub(super) async fn run(self) {
        let mut backoff = RECONNECT_BACKOFF.0;
        loop {
            match self.watch().await {
                // A worker that is there answers when it is tried again.
                Loss::Broken(why) => {
                    backoff = RECONNECT_BACKOFF.0;
                    self.lost(&why);
                }
                Loss::Silent(why) => {
                    backoff = RECONNECT_BACKOFF.0;
                    self.link.cut(&self.lost(&why));
                }
                Loss::Unreachable(why) => self.link.cut(&self.lost(&why)),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(RECONNECT_BACKOFF.1);
        }
    }

    /// Connects and listens until the worker is lost.
    async fn watch(&self) -> Loss {
        let mut client = self.link.first();
        let request = proto::ObserveRequest { metrics: self.metrics.is_some() };
        let unreachable =
            |status: &Status| Loss::Unreachable(format!("it cannot be reached: {}", wire::describe(status)));
        let observed = match timeout(self.silence_max, client.observe(request)).await {
            Ok(Ok(observed)) => observed.into_inner(),
            Ok(Err(status)) => return unreachable(&status),
            Err(_) => return Loss::Unreachable(format!("it does not answer within {:?}", self.silence_max)),
        };
        self.listen(observed).await
    }

    async fn listen(&self, mut observed: Streaming<proto::Observation>) -> Loss {
        let mut heard = false;
        let mut silent = 0;
        loop {
            match timeout(self.silence_max / SILENCE_PARTS, observed.message()).await {
                Ok(Ok(Some(observation))) => {
                    silent = 0;
                    if let Err(Malformed(why)) = self.heard(observation) {
                        return Loss::Unreachable(why);
                    }
                    heard = true;
                }
                Ok(Ok(None)) if heard => return Loss::Broken("it closed the connection".to_owned()),
                Ok(Err(status)) if heard => {
                    return Loss::Broken(format!("the connection broke: {}", wire::describe(&status)));
                }
                Ok(Ok(None)) => return Loss::Unreachable("it closes the connection at once".to_owned()),
                Ok(Err(status)) => return Loss::Unreachable(format!("it refuses: {}", wire::describe(&status))),
                Err(_) => {
                    silent += 1;
                    if silent == SILENCE_PARTS {
                        return Loss::Silent(format!("no sign of life for {:?}", self.silence_max));
                    }
                }
            }
        }
    }

    fn heard(&self, observation: proto::Observation) -> Result<(), Malformed> {
        if let Some(node) = observation.node {
            // Before anyone is told, so that who sees the worker can call it.
            self.link.open();
            let before = self.health.borrow().name.clone();
            if before.as_ref().is_none_or(|before| before.as_str() != node.name) {
                tracing::info!(
                    endpoint = self.link.endpoint(),
                    node = node.name,
                    version = node.version,
                    "worker found"
                );
            } else {
                tracing::info!(endpoint = self.link.endpoint(), node = node.name, "worker is back");
            }
            self.health.send_modify(|health| {
                health.name = Some(node.name.into());
                health.version = Some(node.version);
            });
        }
        if let (Some(relay), Some(metrics)) = (&self.metrics, observation.metrics) {
            relay.show(metrics);
        }
        let now = Instant::now();
        let snapshots = observation.snapshots.into_iter().map(|snapshot| wire::snapshot(snapshot, now));
        let snapshots = snapshots.collect::<Result<Vec<_>, _>>()?;
        snapshots.into_iter().for_each(|snapshot| self.show(snapshot));
        // Last of all, so that who finds it connected finds all its schedulers.
        self.health.send_modify(|health| {
            health.last_heartbeat = Some(now);
            health.failure = None;
        });
        Ok(())
    }

    fn show(&self, snapshot: SchedulerSnapshot) {
        let known = self.schedulers.borrow().clone();
        if let Some(scheduler) = known.iter().find(|scheduler| scheduler.name == snapshot.id.as_str()) {
            scheduler.show(snapshot);
            return;
        }
        let node = self.health.borrow().name.clone();
        let id = match node {
            Some(node) if self.qualify_names => format!("{node}.{}", snapshot.id).into(),
            _ => snapshot.id.clone(),
        };
        let scheduler = Arc::new(RemoteScheduler::new(id, Arc::clone(&self.link), snapshot));
        self.schedulers.send_replace(known.iter().cloned().chain([scheduler]).collect());
    }

    /// Says it to whoever looks, before what runs there is cut: whoever is cut off finds
    /// it so. In which words.
    fn lost(&self, why: &str) -> String {
        let why = format!("worker {}: {why}", self.link.endpoint());
        self.link.close(&why);
        let is_news = self.health.send_if_modified(|health| health.failure.replace(why.clone()) != Some(why.clone()));
        if let Some(metrics) = &self.metrics {
            metrics.clear();
        }
        if is_news {
            tracing::warn!(%why, "a worker is lost");
        }
        // One that has never been there may be starting.
        if self.health.borrow().name.is_some() {
            self.schedulers.borrow().iter().for_each(|scheduler| scheduler.lost(&why));
        }
        why
    }
}
