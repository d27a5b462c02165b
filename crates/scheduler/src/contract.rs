//! The contract suite for implementations of [`Scheduler`]: local and remote schedulers
//! must behave alike.
//!
//! A test gives [`run_all`] a function that starts a new scheduler; a failed check reports
//! its name and what was observed. The checks use only the trait, and wait for conditions
//! rather than times, so that they pass on slow machines.

mod claims;
mod ends;
mod load;
mod requests;
mod support;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use hostler_executor::contract::{Outcome, Report, Violation};
use hostler_executor::simulated::{CostModel, SimulatedConfig};

use crate::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use support::until;

/// A check that takes longer counts as hung.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// A running scheduler to be tested.
pub struct Subject {
    /// The handle under test.
    pub scheduler: Arc<dyn Scheduler>,
    /// The local scheduler behind it, or the same one; stopped after the check.
    pub local: Arc<LocalScheduler>,
    /// What connects the two; dropped before the local scheduler is stopped.
    pub connection: Box<dyn Any>,
}

/// One check of the contract.
#[derive(Clone, Copy)]
pub struct Check {
    /// What it checks.
    pub name: &'static str,
    /// The scheduler that it needs.
    setup: Setup,
    run: for<'a> fn(&'a dyn Scheduler) -> LocalBoxFuture<'a, Result<(), Violation>>,
}

/// The capacity of a scheduler under test.
#[derive(Clone, Copy)]
enum Setup {
    /// Eight sequences at a time, a millisecond per step, thousands of places in the queue.
    Large,
    /// One sequence at a time, two places in the queue.
    Small,
}

macro_rules! check {
    ($name:literal, $setup:ident, $run:path) => {
        Check { name: $name, setup: Setup::$setup, run: |scheduler| Box::pin($run(scheduler)) }
    };
}

/// All checks, in the order in which [`run_all`] runs them.
pub const CHECKS: &[Check] = &[
    check!("a request is answered completely and in order", Large, requests::answered),
    check!("text, chat and token prompts are served", Large, requests::prompts),
    check!("a greedy answer is reproducible and can be continued", Large, requests::repeated),
    check!("tokenized text decodes to the same text", Large, requests::text),
    check!("a request that can never run is refused with the field's name", Large, requests::refused),
    check!("a full queue refuses with a retry time", Small, load::overloaded),
    check!("the snapshot shows state and load", Small, load::snapshot),
    check!("a slow reader delays no other request and loses no tokens", Large, load::slow_reader),
    check!("after 1,000 requests, half of them dropped, nothing is reserved", Large, load::half_dropped),
    check!("a dropped request is cancelled, queued or running", Small, ends::dropped),
    check!("a request is cancelled by its id, queued or running", Small, ends::cancelled),
    check!("a deadline ends a request, queued or running", Small, ends::deadline),
    check!("a drain finishes admitted requests, refuses new ones, and can be ended", Large, ends::drained),
    check!("a claimed scheduler serves only the claim's requests", Large, claims::held),
    check!("a claim finishes, evicts or fails running requests as requested", Large, claims::drains),
    check!("a claim without heartbeats expires", Large, claims::expires),
];

/// Runs every check, each on a new scheduler. Call it inside an actix `System`.
pub async fn run_all(start: impl AsyncFn(SchedulerConfig, SimulatedConfig) -> Subject) -> Report {
    let mut report = Report::default();
    for check in CHECKS {
        let begun = Instant::now();
        let (config, engine) = check.setup.configs();
        let Subject { scheduler, local, connection } = start(config, engine).await;
        let result = async {
            until(&*scheduler, "it serves", |snapshot| snapshot.state == SchedulerState::Serving).await?;
            (check.run)(&*scheduler).await
        };
        let hung = || Violation(format!("it hangs; {:?}", scheduler.snapshot().borrow().clone()));
        let result = tokio::time::timeout(CHECK_TIMEOUT, result).await.unwrap_or_else(|_| Err(hung()));
        report.outcomes.push(Outcome { name: check.name, result, took: begun.elapsed() });
        drop((scheduler, connection));
        local.stop().await;
    }
    report
}

impl Setup {
    fn configs(self) -> (SchedulerConfig, SimulatedConfig) {
        let cost = CostModel { decode_step_ms: 1.0, decode_ms_per_sequence: 0.0, ..CostModel::FREE };
        let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
        let mut config = SchedulerConfig::new("contract", "simulated");
        match self {
            Self::Large => {
                config.queue.requests_max = 4096;
                config.queue.tokens_max = 1 << 24;
                config.queue.wait_max = 10 * CHECK_TIMEOUT;
            }
            Self::Small => {
                config.max_batch_size = 1;
                config.queue.requests_max = 2;
                config.queue.wait_max = 10 * CHECK_TIMEOUT;
            }
        }
        (config, engine)
    }
}
