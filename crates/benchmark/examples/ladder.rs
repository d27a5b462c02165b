//! What the layers of this process cost: the ladder up to the router, on the
//! simulated engine (8 sequences, 4 ms a step and 0.125 ms for each sequence in
//! it: 1,600 tokens/s, less the time that prompts take).
//!
//! ```text
//! cargo run -p hostler-benchmark --example ladder -- [ROUNDS]
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix::Arbiter;
use anyhow::Context;
use hostler_benchmark::bench::Plan;
use hostler_benchmark::ladder::{self, Rung};
use hostler_benchmark::measure::Slo;
use hostler_benchmark::report;
use hostler_benchmark::shape::Shape;
use hostler_benchmark::target::layer::{Asking, EngineTarget, RouterTarget, SchedulerTarget};
use hostler_benchmark::workload::{Length, Prompts, Workload};
use hostler_executor::ExecutorFactory;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};

const MODEL: &str = "simulated";

#[actix::main]
async fn main() -> anyhow::Result<()> {
    let repeats = std::env::args().nth(1).map_or(Ok(5), |rounds| rounds.parse()).context("ROUNDS is a number")?;
    let shape = Shape::Concurrent { concurrency: 8 };
    let plan = Plan {
        workload: Workload {
            prompts: Prompts::Synthetic { tokens: Length::between(10, 40)? },
            output_tokens: Length::fixed(50)?,
            exact_length: true,
            temperature: 0.0,
            seed: 1,
        },
        requests: 400,
        seconds_max: None,
        request_seconds_max: 60.0,
        warm_up_requests: None,
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats,
        slo: Slo::default(),
    };
    plan.validate()?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let generator = ladder::in_process_ceiling(&shape, &plan).await?;
    let result = ladder::climb(rungs().await?, shape, plan, generator, started, &()).await?;
    print!("{}", report::markdown(&result));
    Ok(())
}

/// Two engines alike: one is driven directly, the other has a scheduler. Never
/// do both run at once.
async fn rungs() -> anyhow::Result<Vec<Rung>> {
    let cost = CostModel { decode_step_ms: 4.0, decode_ms_per_sequence: 0.125, ..CostModel::default() };
    let factory = Arc::new(SimulatedFactory::new(MODEL, SimulatedConfig { cost, ..SimulatedConfig::default() })?);
    let asking = Asking { model: MODEL.into(), chat: true };
    let engine = EngineTarget::new(factory.load(&())?, asking.clone(), 8);

    let scheduler = LocalScheduler::start(SchedulerConfig::new("ladder", MODEL), factory);
    scheduler.snapshot().wait_for(|snapshot| snapshot.state == SchedulerState::Serving).await?;
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    router.add(Arc::clone(&scheduler) as Arc<dyn Scheduler>).await?;
    let rung = |name: &str, target| Rung { name: name.to_owned(), target };
    Ok(vec![
        rung("engine", Arc::new(engine)),
        rung("scheduler", Arc::new(SchedulerTarget::new(scheduler, asking.clone()))),
        rung("router", Arc::new(RouterTarget::new(router, asking))),
    ])
}
