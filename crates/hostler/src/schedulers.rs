//! The schedulers of this process: planned, started, waited for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use hostler_config::Config;
use hostler_protocol::ModelDescription;
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};

use crate::progress::{LoadSpinner, Shown};
use crate::{engines, models, settings};

/// A scheduler that is to be started, and the model that it loads.
pub(crate) type Planned = (SchedulerConfig, Arc<Shown>, PathBuf);

/// Refuses engines that this binary lacks, before anything starts.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    config.schedulers.iter().try_for_each(|scheduler| engines::check(scheduler.settings.engine))
}

/// Fetches what is missing, and settles who will run what.
pub(crate) fn plan(config: &Config, spinner: &LoadSpinner) -> anyhow::Result<Vec<Planned>> {
    let mut planned = Vec::with_capacity(config.schedulers.len());
    for scheduler in &config.schedulers {
        let model = models::prepare(config, scheduler)?;
        let inner = engines::factory(scheduler, &model)?;
        let shown = Shown { name: model.name.to_string(), inner, spinner: spinner.clone() };
        planned.push((settings::scheduler(scheduler, model.name), Arc::new(shown), model.path));
    }
    Ok(planned)
}

/// Waits until every scheduler serves. One whose engine does not load at the start
/// will not later: files and devices are as they are.
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

/// Starts what was planned; models are loaded meanwhile.
pub(crate) fn start(planned: Vec<Planned>) -> Vec<Arc<LocalScheduler>> {
    planned.into_iter().map(|(config, factory, _)| LocalScheduler::start(config, factory)).collect()
}
