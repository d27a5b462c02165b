//! Observations for a gateway: changed snapshots, or an empty heartbeat when nothing changed.

use std::sync::Arc;

use futures::future::select_all;
use futures::{Stream, stream};
use hostler_scheduler::SchedulerSnapshot;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::node::{Node, closed};
use crate::transport::{HEARTBEAT_INTERVAL, OBSERVATION_INTERVAL_MIN};
use crate::wire::{proto, snapshot_to_proto};

/// One observer, and what it was sent.
struct Observer {
    node: Arc<Node>,
    snapshots: Vec<watch::Receiver<SchedulerSnapshot>>,
    /// When the metrics were last sent; the outer `None` if it did not ask for them.
    metrics_sent: Option<Option<Instant>>,
    /// When the last observation was sent.
    sent: Option<Instant>,
}

/// The node with all its snapshots first, then changed snapshots, until the server closes.
pub(super) fn observe(node: Arc<Node>, with_metrics: bool) -> impl Stream<Item = Result<proto::Observation, Status>> {
    let snapshots = node.schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
    stream::unfold(
        Observer { node, snapshots, metrics_sent: with_metrics.then_some(None), sent: None },
        |mut observer| async {
            let observation = observer.next().await?;
            Some((Ok(observation), observer))
        },
    )
}

impl Observer {
    async fn next(&mut self) -> Option<proto::Observation> {
        let Some(sent) = self.sent else {
            if *self.node.closing.borrow() {
                return None;
            }
            let snapshots = self.snapshots(|_| true);
            return Some(proto::Observation { node: Some(self.node.describe()), snapshots, metrics: None });
        };
        tokio::select! {
            () = closed(self.node.closing.clone()) => return None,
            () = sleep_until(sent + HEARTBEAT_INTERVAL) => {}
            () = changed(&mut self.snapshots) => sleep_until(sent + OBSERVATION_INTERVAL_MIN).await,
        }
        let snapshots = self.snapshots(|snapshot| snapshot.has_changed().unwrap_or(false));
        Some(proto::Observation { node: None, snapshots, metrics: self.due_metrics() })
    }

    /// The `wanted` snapshots, marked as sent now.
    fn snapshots(
        &mut self,
        wanted: impl Fn(&watch::Receiver<SchedulerSnapshot>) -> bool,
    ) -> Vec<proto::SchedulerSnapshot> {
        let now = Instant::now();
        self.sent = Some(now);
        let wanted = self.snapshots.iter_mut().filter(|snapshot| wanted(snapshot));
        wanted.map(|snapshot| snapshot_to_proto(&snapshot.borrow_and_update(), now.into_std())).collect()
    }

    /// The metrics, once per heartbeat interval.
    fn due_metrics(&mut self) -> Option<String> {
        let sent = self.metrics_sent.as_mut()?;
        if sent.is_some_and(|sent| sent.elapsed() < HEARTBEAT_INTERVAL) {
            return None;
        }
        *sent = Some(Instant::now());
        self.node.metrics.as_ref().map(hostler_telemetry::Exporter::render)
    }
}

/// Waits until a snapshot has changed, and leaves it marked as changed.
async fn changed(snapshots: &mut [watch::Receiver<SchedulerSnapshot>]) {
    let each = snapshots.iter_mut().map(|snapshot| {
        Box::pin(async {
            // The snapshot of a dropped scheduler does not change any more.
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
