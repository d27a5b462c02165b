//! A stream of snapshots: what changed, and a sign of life where nothing did.

use std::sync::Arc;

use futures::future::select_all;
use futures::{Stream, stream};
use hostler_scheduler::SchedulerSnapshot;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::{Node, closes};
use crate::transport::{SIGN_OF_LIFE, SNAPSHOT_PACE};
use crate::wire::{proto, snapshot_message};

/// What one observer has been told.
struct Observer {
    node: Arc<Node>,
    snapshots: Vec<watch::Receiver<SchedulerSnapshot>>,
    /// When it was last handed the metrics, if it asked for them.
    metrics: Option<Option<Instant>>,
    /// When it was last told something; `None` before the first time.
    told: Option<Instant>,
}

/// The node and everything of it first, then what changes, until the node closes.
pub(super) fn observe(node: Arc<Node>, with_metrics: bool) -> impl Stream<Item = Result<proto::Observation, Status>> {
    let snapshots = node.schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
    stream::unfold(
        Observer { node, snapshots, metrics: with_metrics.then_some(None), told: None },
        |mut observer| async {
            let observation = observer.next().await?;
            Some((Ok(observation), observer))
        },
    )
}

impl Observer {
    async fn next(&mut self) -> Option<proto::Observation> {
        let Some(told) = self.told else {
            if *self.node.closing.borrow() {
                return None;
            }
            let snapshots = self.snapshots(|_| true);
            return Some(proto::Observation { node: Some(self.node.describe()), snapshots, metrics: None });
        };
        tokio::select! {
            () = closes(self.node.closing.clone()) => return None,
            () = sleep_until(told + SIGN_OF_LIFE) => {}
            () = changed(&mut self.snapshots) => sleep_until(told + SNAPSHOT_PACE).await,
        }
        let snapshots = self.snapshots(|snapshot| snapshot.has_changed().unwrap_or(false));
        Some(proto::Observation { node: None, snapshots, metrics: self.due_metrics() })
    }

    /// Those that are `wanted`, told now.
    fn snapshots(
        &mut self,
        wanted: impl Fn(&watch::Receiver<SchedulerSnapshot>) -> bool,
    ) -> Vec<proto::SchedulerSnapshot> {
        let now = Instant::now();
        self.told = Some(now);
        let told = self.snapshots.iter_mut().filter(|snapshot| wanted(snapshot));
        told.map(|snapshot| snapshot_message(&snapshot.borrow_and_update(), now.into_std())).collect()
    }

    /// The metrics, as often as a sign of life is due.
    fn due_metrics(&mut self) -> Option<String> {
        let handed = self.metrics.as_mut()?;
        if handed.is_some_and(|handed| handed.elapsed() < SIGN_OF_LIFE) {
            return None;
        }
        *handed = Some(Instant::now());
        self.node.metrics.as_ref().map(hostler_telemetry::Exporter::render)
    }
}

impl Node {
    pub(super) fn describe(&self) -> proto::Node {
        proto::Node {
            name: self.name.as_str().to_owned(),
            version: self.version.clone(),
            schedulers: self.schedulers.iter().map(|scheduler| scheduler.id().as_str().to_owned()).collect(),
        }
    }
}

/// Waits until one of them differs from what was told last. Seeing that marks nothing.
async fn changed(snapshots: &mut [watch::Receiver<SchedulerSnapshot>]) {
    let each = snapshots.iter_mut().map(|snapshot| {
        Box::pin(async {
            // A scheduler that is gone changes no more.
            if snapshot.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            snapshot.mark_changed();
        })
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(each).await;
}
