//! The ladder: the same load at every layer of a server, to measure the cost of each.

use std::sync::Arc;

use hostler_executor::ExecutorFactory;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_loadgen::ceiling::{GeneratorCheck, measure_ceiling};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{BenchmarkResult, Kind};
use hostler_loadgen::rounds::{MeasureError, RunObserver, measure};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::{EnergyMeter, NamedTarget, ServerProcesses, Target};

use crate::targets::{EngineTarget, RequestTemplate};

/// Context length of the echo: longer than any real model's.
const ECHO_CONTEXT_LENGTH: u32 = 1 << 24;

/// Sequences that the echo runs at once: the most that a closed loop may have in flight.
const ECHO_SEQUENCES_MAX: u32 = 10_000;

/// One layer. The rungs of a ladder are ordered from the engine upwards.
pub struct Rung {
    /// The layer's name: `engine`, `scheduler`, `grpc`, `router`, `http`, `http-stream`.
    pub name: String,
    /// The layer.
    pub target: Arc<dyn Target>,
    /// The meter of the energy that the scheduler's device uses, if it has one.
    pub energy: Option<Arc<dyn EnergyMeter>>,
}

impl Rung {
    /// The rung as a target with load `shape`.
    pub(crate) fn into_target(self, shape: Shape) -> NamedTarget {
        let server = ServerProcesses::ThisProcess;
        NamedTarget { name: self.name, target: self.target, shape, server, energy: self.energy }
    }
}

/// Measures every rung in interleaved rounds, and the ratio of each rung's throughput to the
/// one below and to the lowest. `generator` is the ceiling of the load generator: see
/// [`in_process_ceiling`].
///
/// # Errors
/// If a rung cannot be measured.
pub async fn run_ladder(
    rungs: Vec<Rung>,
    shape: Shape,
    plan: Plan,
    mut generator: GeneratorCheck,
    started_unix_seconds: u64,
    observer: &dyn RunObserver,
) -> Result<BenchmarkResult, MeasureError> {
    let targets: Vec<NamedTarget> = rungs.into_iter().map(|rung| rung.into_target(shape)).collect();
    let series = measure(&targets, &plan, observer).await?;
    generator.check(&series);
    Ok(BenchmarkResult::new(Kind::Ladder, started_unix_seconds, plan, series, generator))
}

/// The load generator's ceiling with an engine in this process that costs no time. A ladder
/// that includes HTTP uses the lower of this and
/// [`http_ceiling`](hostler_loadgen::ceiling::http_ceiling).
///
/// # Errors
/// If the echo cannot be measured.
pub async fn in_process_ceiling(shape: &Shape, plan: &Plan) -> Result<GeneratorCheck, MeasureError> {
    let template = RequestTemplate { model: "echo".into(), chat: false, claim: None };
    let factory = SimulatedFactory::new("echo", echo()).map_err(|error| MeasureError::Echo(error.to_string()))?;
    let executor = factory.load(&()).map_err(|error| MeasureError::Echo(error.to_string()))?;
    let target = Arc::new(EngineTarget::new(executor, template, u32::MAX));
    measure_ceiling(Rung { name: "echo".to_owned(), target, energy: None }.into_target(*shape), plan).await
}

/// An engine that costs no time and has capacity for every request.
fn echo() -> SimulatedConfig {
    SimulatedConfig {
        context_length: ECHO_CONTEXT_LENGTH,
        kv_capacity_tokens: u64::MAX,
        max_sequences: ECHO_SEQUENCES_MAX,
        ..SimulatedConfig::echo()
    }
}
