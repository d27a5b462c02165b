//! A child process that holds a scheduler, started again when it ends.
//!
//! The scheduler's own restarts replace an engine; these replace the process around it,
//! for what an engine cannot survive: a crash in its native code, or the kernel's
//! out-of-memory killer. The child's standard input is its leash: it carries the
//! configuration, and its end says that the parent is gone.

mod child;
mod logs;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_scheduler::SchedulerSnapshot;
use hostler_scheduler::config::RecoveryConfig;
use hostler_scheduler::state::Restarts;
use hostler_telemetry::Relay;
use hostler_telemetry::catalogue::RESTARTS;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::remote::{EndpointError, NodeView, RemoteNode, RemoteOptions, RemoteScheduler};
use child::Child;
pub use logs::LogLines;

/// What a parent says on the leash when the child shall finish what runs, and end. A
/// leash that closes without it means that the parent is gone.
pub const END: &str = "end\n";

/// How long a child that was told to end may take, once its requests have ended.
const FAREWELL: Duration = Duration::from_secs(10);

/// What a child is.
pub struct ChildPlan {
    /// Its scheduler before it has been heard of: its name, its model, its batch.
    pub scheduler: SchedulerSnapshot,
    /// Its command line, environment included.
    pub command: Box<dyn Fn() -> Command>,
    /// What it reads first, one line.
    pub configuration: String,
    /// Where it listens, as an endpoint.
    pub endpoint: String,
    /// How often it may be started again.
    pub recovery: RecoveryConfig,
    /// Where its metrics go.
    pub metrics: Option<Relay>,
    /// How its log lines are passed on.
    pub logs: LogLines,
}

/// A supervised child. Dropping it kills the child.
pub struct Supervised {
    scheduler: Arc<RemoteScheduler>,
    view: NodeView,
    stop: oneshot::Sender<()>,
    supervising: JoinHandle<()>,
}

impl Supervised {
    /// Starts a child, and keeps it running. Call it on a thread that lives as long as
    /// this process, inside a `LocalSet`: Linux ties children to the thread that started
    /// them. `enter` starts the connection's tasks where they shall run.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn start(
        plan: ChildPlan,
        enter: impl FnOnce(&dyn Fn() -> Result<RemoteNode, EndpointError>) -> Result<RemoteNode, EndpointError>,
    ) -> Result<Self, EndpointError> {
        let options = RemoteOptions {
            qualify_names: false,
            expected: vec![plan.scheduler.clone()],
            metrics: plan.metrics.clone(),
            ..RemoteOptions::default()
        };
        let node = enter(&|| RemoteNode::connect(&plan.endpoint, &options))?;
        let scheduler = Arc::clone(&node.schedulers().borrow()[0]);
        let view = node.view();
        let (stop, stopped) = oneshot::channel();
        let supervisor = Supervisor { plan, node, scheduler: Arc::clone(&scheduler), stopped };
        let supervising = tokio::task::spawn_local(supervisor.run());
        Ok(Self { scheduler, view, stop, supervising })
    }

    /// The handle on the child's scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<RemoteScheduler> {
        &self.scheduler
    }

    /// What is known of the child.
    #[must_use]
    pub fn view(&self) -> &NodeView {
        &self.view
    }

    /// Ends the child, which lets what runs finish; drain it first to wait longer. One
    /// that does not end is killed.
    pub async fn stop(self) {
        // An error means that the supervisor has ended, and its child with it.
        let _ = self.stop.send(());
        let _ = self.supervising.await;
    }
}

struct Supervisor {
    plan: ChildPlan,
    node: RemoteNode,
    scheduler: Arc<RemoteScheduler>,
    /// Resolves when the child shall end, also when nobody holds it any more.
    stopped: oneshot::Receiver<()>,
}

impl Supervisor {
    async fn run(mut self) {
        let SchedulerSnapshot { id, model, .. } = self.plan.scheduler.clone();
        let restarts_total = RESTARTS.counter(&[model.as_str(), id.as_str()]);
        let mut restarts = Restarts::new(self.plan.recovery.clone());
        loop {
            let why = match self.live().await {
                Some(why) => why,
                None => return,
            };
            let restart = restarts.next(Instant::now());
            let pause = restart.saturating_duration_since(Instant::now());
            tracing::error!(scheduler = %id, %why, pause_ms = pause.as_millis(), "its process ended; starting another");
            self.node.fail(&format!("its process ended: {why}"));
            if tokio::time::timeout(pause, &mut self.stopped).await.is_ok() {
                return;
            }
            self.scheduler.count_restart();
            restarts_total.increment(1);
        }
    }

    /// One child, from its start to its end. Why it ended; `None` when it was told to.
    async fn live(&mut self) -> Option<String> {
        let name = self.plan.scheduler.id.to_string();
        let mut child = match Child::start((self.plan.command)(), &self.plan.configuration, &name, self.plan.logs).await
        {
            Ok(child) => child,
            Err(error) => return Some(format!("it cannot be started: {error}")),
        };
        tracing::info!(scheduler = name, process = child.id(), "process started");
        tokio::select! {
            why = child.ended() => return Some(why),
            _ = &mut self.stopped => {}
        }
        if tokio::time::timeout(FAREWELL, child.end()).await.is_err() {
            tracing::warn!(scheduler = name, "its process does not end; killing it");
        }
        None
    }
}
