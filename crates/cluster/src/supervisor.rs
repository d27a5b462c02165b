//! Runs a scheduler in a child process, and restarts the process when it exits or hangs.
//!
//! A new process covers what a new engine in the same process cannot: a crash in native code, the
//! kernel's out-of-memory killer, memory and threads that a failed engine still holds. So a child
//! exits when its engine fails. The parent kills a child that sends no heartbeats. The parent
//! writes the configuration to the child's standard input and keeps it open: end of file tells
//! the child that the parent is gone.

mod child;
mod logs;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_config::{LogFormat, RecoveryConfig};
use hostler_scheduler::SchedulerSnapshot;
use hostler_scheduler::state::Restarts;
use hostler_telemetry::Relay;
use hostler_telemetry::catalogue::RESTARTS;
use hostler_util::{CHECKS_PER_LIMIT, Stall};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::remote::{EndpointError, NodeHealth, NodeView, RemoteNode, RemoteOptions, RemoteScheduler};
use child::Child;
pub use child::SHUTDOWN_LINE;

/// How long a child may take to exit after it was told to, before it is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to run a child.
pub struct ChildOptions {
    /// The snapshot of its scheduler until it is connected: id, model and batch size.
    pub scheduler: SchedulerSnapshot,
    /// Builds its command line, with the environment.
    pub command: Box<dyn Fn() -> Command>,
    /// Its configuration, one line, which it reads from standard input.
    pub configuration: String,
    /// The endpoint on which it listens.
    pub endpoint: String,
    /// How often it may be restarted.
    pub recovery: RecoveryConfig,
    /// Where to publish its metrics.
    pub metrics: Option<Relay>,
    /// The format of its log lines.
    pub logs: LogFormat,
}

/// A supervised child process. Dropping it kills the process.
pub struct SupervisedChild {
    scheduler: Arc<RemoteScheduler>,
    view: NodeView,
    stop: oneshot::Sender<()>,
    supervising: JoinHandle<()>,
}

impl SupervisedChild {
    /// Starts a child, and restarts it when it exits. Call it in a `LocalSet` on a thread that
    /// lives as long as this process: Linux signals the death of the parent when the *thread*
    /// ends that started the child. `enter` runs a function in the runtime that is to hold the
    /// connection's tasks.
    ///
    /// # Errors
    /// The endpoint is malformed.
    pub fn start(
        options: ChildOptions,
        enter: impl FnOnce(&dyn Fn() -> Result<RemoteNode, EndpointError>) -> Result<RemoteNode, EndpointError>,
    ) -> Result<Self, EndpointError> {
        let remote = RemoteOptions {
            qualify_names: false,
            expected: vec![options.scheduler.clone()],
            metrics: options.metrics.clone(),
            ..RemoteOptions::default()
        };
        let node = enter(&|| RemoteNode::connect(&options.endpoint, &remote))?;
        let scheduler = Arc::clone(&node.schedulers().borrow()[0]);
        let view = node.view();
        let (stop, stopped) = oneshot::channel();
        let supervisor = Supervisor { options, node, scheduler: Arc::clone(&scheduler), stopped };
        let supervising = tokio::task::spawn_local(supervisor.run());
        Ok(Self { scheduler, view, stop, supervising })
    }

    /// The handle of the child's scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<RemoteScheduler> {
        &self.scheduler
    }

    /// A read-only view of the child as a node.
    #[must_use]
    pub fn view(&self) -> &NodeView {
        &self.view
    }

    /// Tells the child to finish its requests and exit; drain it first to allow more time. A
    /// child that does not exit in time is killed.
    pub async fn stop(self) {
        // An error means that the supervisor has ended, and its child with it.
        let _ = self.stop.send(());
        let _ = self.supervising.await;
    }
}

struct Supervisor {
    options: ChildOptions,
    node: RemoteNode,
    scheduler: Arc<RemoteScheduler>,
    /// Resolves when the child is to exit, also when its handle was dropped.
    stopped: oneshot::Receiver<()>,
}

impl Supervisor {
    async fn run(mut self) {
        let SchedulerSnapshot { id, model, .. } = self.options.scheduler.clone();
        let restarts_total = RESTARTS.counter(&[model.as_str(), id.as_str()]);
        let mut restarts = Restarts::new(self.options.recovery.clone());
        while let Some(why) = self.run_child().await {
            let restart = restarts.next(Instant::now());
            let pause = restart.saturating_duration_since(Instant::now());
            tracing::error!(scheduler = %id, %why, pause_ms = pause.as_millis(), "child process failed; restarting it");
            self.node.fail(&format!("its process failed: {why}"));
            if tokio::time::timeout(pause, &mut self.stopped).await.is_ok() {
                return;
            }
            self.scheduler.count_process_restart();
            restarts_total.increment(1);
        }
    }

    /// Runs one child until it exits, and returns why; `None` if it was told to.
    async fn run_child(&mut self) -> Option<String> {
        let ChildOptions { scheduler, command, configuration, logs, .. } = &self.options;
        let name = scheduler.id.to_string();
        let mut child = match Child::start(command(), configuration, &name, *logs).await {
            Ok(child) => child,
            Err(error) => return Some(format!("it cannot be started: {error}")),
        };
        tracing::info!(scheduler = name, process = child.id(), "child process started");
        tokio::select! {
            why = child.exited() => return Some(why),
            why = silent(self.node.health(), self.options.recovery.watchdog) => {
                // Dropping the child kills the process.
                return Some(why);
            }
            _ = &mut self.stopped => {}
        }
        if tokio::time::timeout(EXIT_TIMEOUT, child.shut_down()).await.is_err() {
            tracing::warn!(scheduler = name, "child process does not exit; killing it");
        }
        None
    }
}

/// Waits until a child that was connected has sent no heartbeat for `limit`; returns the reason.
/// A child that was never connected may still be loading its model.
async fn silent(mut health: watch::Receiver<NodeHealth>, limit: Duration) -> String {
    let begun = Instant::now();
    // An error means that the node was dropped, which happens after its supervisor has ended.
    let _ = health.wait_for(|health| health.last_heartbeat.is_some_and(|last| last > begun)).await;
    let mut checks = tokio::time::interval(limit / CHECKS_PER_LIMIT);
    let mut silence = Stall::new(limit, Instant::now());
    while !silence.is_over() {
        checks.tick().await;
        silence.check(Instant::now(), health.borrow().failure.is_some());
    }
    format!("it sent no heartbeat for {limit:.0?} and was killed")
}
