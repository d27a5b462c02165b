//! Plans and starts the schedulers of this process, and waits until they serve.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use hostler_cluster::NodeView;
use hostler_cluster::supervisor::SupervisedChild;
use hostler_config::{Config, NamedScheduler};
use hostler_protocol::{ModelDescription, SchedulerId};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use hostler_telemetry::Exporter;
use tempfile::TempDir;

use crate::cluster::Transport;
use crate::gpu::Watched;
use crate::progress::{LoadSpinner, Shown};
use crate::{engines, isolation, models};

/// A scheduler to start.
pub(crate) struct Planned {
    config: SchedulerConfig,
    how: How,
    /// The file or directory that it loads; empty for the simulated engine.
    pub(crate) model: PathBuf,
}

enum How {
    /// With an engine in this process.
    Thread(Arc<Shown>),
    /// In a process of its own.
    Process(Box<NamedScheduler>),
}

/// The running schedulers, in this process or in children.
pub(crate) struct Running {
    locals: Vec<Arc<LocalScheduler>>,
    children: Vec<SupervisedChild>,
    /// Handles to all of them, in the order of the configuration.
    pub(crate) all: Vec<Arc<dyn Scheduler>>,
    /// The directory of the sockets of child processes; only this user can access it.
    _sockets: Option<TempDir>,
}

/// Downloads missing models, and decides which process runs each scheduler.
pub(crate) fn plan(config: &Config, spinner: &LoadSpinner) -> anyhow::Result<Vec<Planned>> {
    let mut planned = Vec::with_capacity(config.schedulers.len());
    for scheduler in &config.schedulers {
        let model = models::prepare(config, scheduler)?;
        let how = if isolation::is_isolated(config, scheduler) {
            engines::check_spec(scheduler, &model)?;
            How::Process(Box::new(scheduler.clone()))
        } else {
            let inner = engines::factory(scheduler, &model)?;
            How::Thread(Arc::new(Shown { name: model.name.to_string(), inner, spinner: spinner.clone() }))
        };
        planned.push(Planned { config: SchedulerConfig::of(scheduler, model.name), how, model: model.path });
    }
    Ok(planned)
}

/// The GPUs of the schedulers that will run in this process. Child processes watch their own.
pub(crate) fn gpus(config: &Config, planned: &[Planned]) -> Vec<Watched> {
    let schedulers = config.schedulers.iter().zip(planned);
    let here = schedulers.filter(|(_, planned)| matches!(planned.how, How::Thread(_)));
    here.filter_map(|(scheduler, planned)| {
        Watched::new(&planned.config.id, &planned.config.model, &scheduler.spec.device)
    })
    .collect()
}

/// Starts the planned schedulers, which load their models in the background. Must be called on
/// the main thread: children are killed when the thread that started them ends.
pub(crate) fn start(
    config: &Config,
    planned: Vec<Planned>,
    transport: &Transport,
    exporter: &Exporter,
) -> anyhow::Result<Running> {
    let is_child = |planned: &Planned| matches!(planned.how, How::Process(_));
    let sockets = if planned.iter().any(is_child) {
        let folder = tempfile::Builder::new().prefix("hostler-").tempdir();
        Some(folder.context("cannot create a directory for the sockets of child processes")?)
    } else {
        None
    };
    let mut running = Running { locals: Vec::new(), children: Vec::new(), all: Vec::new(), _sockets: None };
    for Planned { config: known, how, .. } in planned {
        match (how, &sockets) {
            (How::Process(scheduler), Some(sockets)) => {
                let metrics = exporter.relay(&scheduler.name);
                let plan = isolation::plan(config, &scheduler, &known, sockets.path(), exporter.node(), metrics);
                let child = SupervisedChild::start(plan, |connect| transport.enter(connect))?;
                running.all.push(Arc::clone(child.scheduler()) as Arc<dyn Scheduler>);
                running.children.push(child);
            }
            (How::Thread(factory), _) => {
                let local = LocalScheduler::start(known, factory);
                running.all.push(Arc::clone(&local) as Arc<dyn Scheduler>);
                running.locals.push(local);
            }
            (How::Process(_), None) => bail!("a child process has no directory for its socket"),
        }
    }
    Ok(Running { _sockets: sockets, ..running })
}

impl Running {
    /// The schedulers that run in this process.
    pub(crate) fn here(&self) -> Vec<SchedulerId> {
        self.locals.iter().map(|local| local.id().clone()).collect()
    }

    /// The child processes, which run the others.
    pub(crate) fn children(&self) -> Vec<NodeView> {
        self.children.iter().map(|child| child.view().clone()).collect()
    }

    /// Stops all of them; running requests end immediately.
    pub(crate) async fn stop(self) {
        futures::future::join_all(self.children.into_iter().map(SupervisedChild::stop)).await;
        for local in self.locals {
            local.stop().await;
        }
    }
}

/// Waits until every scheduler serves. An engine that fails to load at the start is an error:
/// a retry would find the same files and devices.
pub(crate) async fn all_loaded(schedulers: &[Arc<dyn Scheduler>]) -> anyhow::Result<Vec<Arc<ModelDescription>>> {
    let mut descriptions = Vec::with_capacity(schedulers.len());
    for scheduler in schedulers {
        let mut snapshot = scheduler.snapshot();
        let settled = snapshot.wait_for(|now| now.state == SchedulerState::Serving || now.failure.is_some()).await?;
        match (&settled.description, &settled.failure) {
            (Some(description), _) => descriptions.push(Arc::clone(description)),
            (None, failure) => bail!("{}: {}", scheduler.id(), failure.as_deref().unwrap_or("its engine failed")),
        }
    }
    Ok(descriptions)
}
