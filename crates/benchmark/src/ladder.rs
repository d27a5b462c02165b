//! The ladder: the same work at every layer of a server, so that each layer's
//! cost can be read off.

use std::sync::Arc;

use hostler_executor::ExecutorFactory;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};

use crate::bench::{BenchError, Contestant, Observer, Plan, Server, measure};
use crate::ceiling::{GeneratorCheck, measure_ceiling};
use crate::result::{BenchmarkResult, Kind};
use crate::shape::Shape;
use crate::target::Target;
use crate::target::layer::{Asking, EngineTarget};

/// Context of the echo: longer than any real model's.
const ECHO_CONTEXT_LENGTH: u32 = 1 << 24;

/// Sequences that the echo runs at once: as many as a closed loop may have.
const ECHO_SEQUENCES_MAX: u32 = 10_000;

/// One layer. The rungs of a ladder stand in the order from the engine upwards.
pub struct Rung {
    /// Its name: `engine`, `scheduler`, `grpc`, `router`, `http`, `http-stream`.
    pub name: String,
    /// The layer.
    pub target: Arc<dyn Target>,
}

/// Climbs the ladder: every rung in turn, again and again, and then each rung's
/// throughput relative to the one below and to the lowest. `generator` says what
/// the generator can do: see [`in_process_ceiling`].
///
/// # Errors
/// When a rung gave nothing that could be reported.
pub async fn climb(
    rungs: Vec<Rung>,
    shape: Shape,
    plan: Plan,
    mut generator: GeneratorCheck,
    started_unix_seconds: u64,
    observer: &dyn Observer,
) -> Result<BenchmarkResult, BenchError> {
    let contestants: Vec<Contestant> = rungs
        .into_iter()
        .map(|rung| Contestant { name: rung.name, target: rung.target, shape, server: Server::ThisProcess })
        .collect();
    let series = measure(&contestants, &plan, observer).await?;
    generator.examine(&series);
    Ok(BenchmarkResult::new(Kind::Ladder, started_unix_seconds, plan, series, generator))
}

/// What the generator takes from an engine in this process that costs nothing.
/// A ladder that reaches HTTP is held to the lower of this and
/// [`crate::ceiling::http_ceiling`].
///
/// # Errors
/// When that cannot be measured.
pub async fn in_process_ceiling(shape: &Shape, plan: &Plan) -> Result<GeneratorCheck, BenchError> {
    let asking = Asking { model: "echo".into(), chat: false, claim: None };
    let factory = SimulatedFactory::new("echo", echo()).map_err(|error| BenchError::Echo(error.to_string()))?;
    let executor = factory.load(&()).map_err(|error| BenchError::Echo(error.to_string()))?;
    let target = Arc::new(EngineTarget::new(executor, asking, u32::MAX));
    let echo = Contestant { name: "echo".to_owned(), target, shape: *shape, server: Server::ThisProcess };
    measure_ceiling(echo, plan).await
}

/// An engine that costs no time and has room for whatever is asked.
fn echo() -> SimulatedConfig {
    SimulatedConfig {
        context_length: ECHO_CONTEXT_LENGTH,
        kv_capacity_tokens: u64::MAX,
        max_sequences: ECHO_SEQUENCES_MAX,
        ..SimulatedConfig::echo()
    }
}
