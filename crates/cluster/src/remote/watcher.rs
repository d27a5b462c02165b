//! Watches one worker: publishes the snapshots of its schedulers, and notices when it is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::NodeId;
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use hostler_telemetry::Relay;
use hostler_telemetry::catalogue::STATE;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::link::Link;
use super::options::RemoteOptions;
use super::scheduler::RemoteScheduler;
use crate::transport::RECONNECT_BACKOFF;
use crate::wire::{self, Malformed, proto};

/// `silence_max` is measured in so many parts. If this process itself was stopped or starved,
/// one part has passed when it resumes, rather than all of `silence_max`.
const SILENCE_PARTS: u32 = 6;

/// What is known of a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeHealth {
    /// Its name; `None` until it has been reached once.
    pub name: Option<NodeId>,
    /// The version of its program.
    pub version: Option<String>,
    /// Why it is lost; `None` while it is connected.
    pub failure: Option<String>,
    /// When its last message arrived.
    pub last_heartbeat: Option<Instant>,
}

/// The known schedulers of a worker.
pub type Schedulers = Arc<[Arc<RemoteScheduler>]>;

/// The task that watches one worker.
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
    /// The observed connection broke. Calls on other connections may continue.
    Broken(String),
    /// It sends no heartbeats any more.
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
        let (schedulers, schedulers_out) = watch::channel(expected.collect());
        let (health, health_out) = watch::channel(NodeHealth {
            failure: Some("it has not been reached yet".to_owned()),
            ..NodeHealth::default()
        });
        let RemoteOptions { silence_max, qualify_names, .. } = *options;
        let metrics = options.metrics.clone();
        (Self { link, qualify_names, silence_max, metrics, schedulers, health }, schedulers_out, health_out)
    }

    /// Runs until the task is aborted.
    pub(super) async fn run(self) {
        let mut attempts = RECONNECT_BACKOFF.attempts();
        self.record_states(false);
        loop {
            match self.watch().await {
                // A worker that was connected is expected to answer the next attempt.
                Loss::Broken(why) => {
                    attempts.reset();
                    self.lost(&why);
                }
                Loss::Silent(why) => {
                    attempts.reset();
                    self.link.cut_off(&self.lost(&why));
                }
                Loss::Unreachable(why) => self.link.cut_off(&self.lost(&why)),
            }
            tokio::time::sleep(attempts.next_pause()).await;
        }
    }

    /// Connects, and reads observations until the worker is lost.
    async fn watch(&self) -> Loss {
        let mut client = self.link.observer_client();
        let request = proto::ObserveRequest { metrics: self.metrics.is_some() };
        let unreachable =
            |status: &Status| Loss::Unreachable(format!("it cannot be reached: {}", wire::describe(status)));
        match timeout(self.silence_max, client.observe(request)).await {
            Ok(Ok(observations)) => self.read(observations.into_inner()).await,
            Ok(Err(status)) => unreachable(&status),
            Err(_) => Loss::Unreachable(format!("it does not answer within {:?}", self.silence_max)),
        }
    }

    async fn read(&self, mut observations: Streaming<proto::Observation>) -> Loss {
        let mut was_connected = false;
        let mut silent_parts = 0;
        loop {
            match timeout(self.silence_max / SILENCE_PARTS, observations.message()).await {
                Ok(Ok(Some(observation))) => {
                    silent_parts = 0;
                    if let Err(Malformed(why)) = self.apply(observation) {
                        return Loss::Unreachable(why);
                    }
                    was_connected = true;
                }
                Ok(Ok(None)) if was_connected => return Loss::Broken("it closed the connection".to_owned()),
                Ok(Err(status)) if was_connected => {
                    return Loss::Broken(format!("the connection broke: {}", wire::describe(&status)));
                }
                Ok(Ok(None)) => return Loss::Unreachable("it closes the connection at once".to_owned()),
                Ok(Err(status)) => return Loss::Unreachable(format!("it refuses: {}", wire::describe(&status))),
                Err(_) => {
                    silent_parts += 1;
                    if silent_parts == SILENCE_PARTS {
                        return Loss::Silent(format!("no heartbeat for {:?}", self.silence_max));
                    }
                }
            }
        }
    }

    fn apply(&self, observation: proto::Observation) -> Result<(), Malformed> {
        if let Some(node) = observation.node {
            // Calls are allowed before the worker shows as connected, so that a caller that sees
            // it can call it.
            self.link.open();
            let (endpoint, name_before) = (self.link.endpoint(), self.health.borrow().name.clone());
            if name_before.is_none_or(|before| before.as_str() != node.name) {
                tracing::info!(endpoint, node = node.name, version = node.version, "worker found");
            } else {
                tracing::info!(endpoint, node = node.name, "worker is back");
            }
            self.forget_all_but(&node.schedulers);
            self.health.send_modify(|health| {
                health.name = Some(node.name.into());
                health.version = Some(node.version);
            });
        }
        if let (Some(relay), Some(metrics)) = (&self.metrics, observation.metrics) {
            relay.show(metrics);
            self.record_states(true);
        }
        let now = Instant::now();
        let snapshots = observation.snapshots.into_iter().map(|snapshot| wire::snapshot_from_proto(snapshot, now));
        let snapshots = snapshots.collect::<Result<Vec<_>, _>>()?;
        snapshots.into_iter().for_each(|snapshot| self.publish(snapshot));
        // The health comes last, so that a connected worker has all its schedulers.
        self.health.send_modify(|health| {
            health.last_heartbeat = Some(now);
            health.failure = None;
        });
        Ok(())
    }

    /// Forgets the schedulers that the process at this endpoint does not have: one before it
    /// had them.
    fn forget_all_but(&self, names: &[String]) {
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.schedulers.borrow().iter().cloned().partition(|scheduler| names.contains(&scheduler.name));
        if gone.is_empty() {
            return;
        }
        for scheduler in gone {
            tracing::info!(scheduler = %scheduler.id, "the worker came back without this scheduler");
            scheduler.stopped();
        }
        self.schedulers.send_replace(kept.into_iter().collect());
    }

    fn publish(&self, snapshot: SchedulerSnapshot) {
        let known = self.schedulers.borrow().clone();
        if let Some(scheduler) = known.iter().find(|scheduler| scheduler.name == snapshot.id.as_str()) {
            scheduler.update(snapshot);
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

    /// Publishes that the worker is lost, and returns the reason with the worker's endpoint. The
    /// caller cuts off calls afterwards, so that their callers see the schedulers as failed.
    fn lost(&self, why: &str) -> String {
        let why = format!("worker {}: {why}", self.link.endpoint());
        self.link.close(&why);
        let is_news = self.health.send_if_modified(|health| health.failure.replace(why.clone()) != Some(why.clone()));
        if is_news {
            tracing::warn!(%why, "worker lost");
        }
        // A worker that was never connected may still be starting.
        if self.health.borrow().name.is_some() {
            self.schedulers.borrow().iter().for_each(|scheduler| scheduler.lost(&why));
        }
        if let Some(metrics) = &self.metrics {
            metrics.clear();
            self.record_states(false);
        }
        why
    }

    /// Records the states of a child's schedulers while the child is lost, so that their metric
    /// has no gaps. This process's values are added to those that the child reports, so they are
    /// 0 while there are any.
    fn record_states(&self, child_reports: bool) {
        if self.metrics.is_none() {
            return;
        }
        for scheduler in self.schedulers.borrow().iter() {
            let SchedulerSnapshot { id, model, state, .. } = scheduler.snapshot().borrow().clone();
            for each in SchedulerState::ALL {
                let value = if each == state && !child_reports { 1.0 } else { 0.0 };
                STATE.gauge(&[model.as_str(), id.as_str(), each.as_str()]).set(value);
            }
        }
    }
}
