//! What every handle on a scheduler is tested against: whether it is here or across a
//! network must not show.
//!
//! A test gives [`run_all`] a way to put a fresh scheduler on stage; a promise that is
//! broken names itself and says what was seen. The checks know the scheduler only by
//! its trait, and wait for conditions, so that a slow machine breaks none.

mod claims;
mod ends;
mod load;
mod requests;
mod subject;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use hostler_executor::contract::{Outcome, Report, Violation};
use hostler_executor::simulated::{CostModel, SimulatedConfig};

use crate::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use subject::until;

/// The longest that one check may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler, ready to be tested.
pub struct Staged {
    /// The handle under test.
    pub scheduler: Arc<dyn Scheduler>,
    /// The scheduler that it leads to, perhaps itself; stopped after the check.
    pub local: Arc<LocalScheduler>,
    /// What lies between them; dropped before.
    pub between: Box<dyn Any>,
}

/// One promise that a handle keeps or breaks.
#[derive(Clone, Copy)]
pub struct Check {
    /// What is promised.
    pub name: &'static str,
    /// What the scheduler must be like for it.
    setting: Setting,
    run: for<'a> fn(&'a dyn Scheduler) -> LocalBoxFuture<'a, Result<(), Violation>>,
}

/// What a scheduler is like.
#[derive(Clone, Copy)]
enum Setting {
    /// Eight at a time, a millisecond a step, and room for thousands.
    Roomy,
    /// One at a time, and two may wait.
    Narrow,
}

macro_rules! check {
    ($name:literal, $setting:ident, $run:path) => {
        Check { name: $name, setting: Setting::$setting, run: |scheduler| Box::pin($run(scheduler)) }
    };
}

/// Every check, in the order in which [`run_all`] runs them.
pub const CHECKS: &[Check] = &[
    check!("a request is answered in full, in order", Roomy, requests::answered),
    check!("text, conversations and tokens are understood", Roomy, requests::prompts),
    check!("a greedy answer is the same again, and goes on where it was left", Roomy, requests::repeated),
    check!("text becomes tokens and comes back", Roomy, requests::text),
    check!("what can never run is refused by its field", Roomy, requests::refused),
    check!("a full queue says when to come back", Narrow, load::overloaded),
    check!("the snapshot shows what there is", Narrow, load::snapshot),
    check!("a reader that does not read slows nobody, and loses nothing", Roomy, load::slow_reader),
    check!("a thousand requests, half of them dropped, leave nothing behind", Roomy, load::half_dropped),
    check!("a dropped request is cancelled, whether it waits or runs", Narrow, ends::dropped),
    check!("a request is cancelled by its id, whether it waits or runs", Narrow, ends::cancelled),
    check!("a deadline ends a request, whether it waits or runs", Narrow, ends::deadline),
    check!("a drain finishes what there is, refuses what comes, and can be undone", Roomy, ends::drained),
    check!("a claimed scheduler serves its holder and nobody else", Roomy, claims::held),
    check!("a claim disposes of what runs as it says", Roomy, claims::disposes),
    check!("a claim without heartbeats ends by itself", Roomy, claims::expires),
];

/// Runs every check, each on a scheduler of its own. Call it inside an actix `System`.
pub async fn run_all(stage: impl AsyncFn(SchedulerConfig, SimulatedConfig) -> Staged) -> Report {
    let mut report = Report::default();
    for check in CHECKS {
        let begun = Instant::now();
        let (config, engine) = check.setting.configs();
        let Staged { scheduler, local, between } = stage(config, engine).await;
        let result = async {
            until(&*scheduler, "it serves", |snapshot| snapshot.state == SchedulerState::Serving).await?;
            (check.run)(&*scheduler).await
        };
        let hung = || Violation(format!("it hangs; {:?}", scheduler.snapshot().borrow().clone()));
        let result = tokio::time::timeout(PATIENCE, result).await.unwrap_or_else(|_| Err(hung()));
        report.outcomes.push(Outcome { name: check.name, result, took: begun.elapsed() });
        drop((scheduler, between));
        local.stop().await;
    }
    report
}

impl Setting {
    fn configs(self) -> (SchedulerConfig, SimulatedConfig) {
        let cost = CostModel { decode_step_ms: 1.0, decode_ms_per_sequence: 0.0, ..CostModel::FREE };
        let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
        let mut config = SchedulerConfig::new("contract", "simulated");
        match self {
            Self::Roomy => {
                config.queue.requests_max = 4096;
                config.queue.tokens_max = 1 << 24;
                config.queue.wait_max = 10 * PATIENCE;
            }
            Self::Narrow => {
                config.max_batch_size = 1;
                config.queue.requests_max = 2;
                config.queue.wait_max = 10 * PATIENCE;
            }
        }
        (config, engine)
    }
}
