//! Carries one benchmark out: claims a scheduler, drives it, gives it back.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{ClaimSelector, ClaimSpec, Lease, Router};
use tokio::sync::watch;

use super::handle::Loopback;
use super::order::{Order, Profile};
use super::progress::Progress;
use super::record::{BenchmarkId, Claimed, Status};
use super::rungs::{Rungs, http_settings};
use super::state::Outcome;
use super::{BenchmarksConfig, Facts, Wire};
use crate::bench::{BenchError, Contestant, Plan, Server, measure, sweep};
use crate::ceiling::{GeneratorCheck, http_ceiling};
use crate::ladder::{climb, in_process_ceiling};
use crate::result::{BenchmarkResult, Kind};
use crate::shape::{Shape, Sweep};
use crate::target::layer::EngineTarget;

/// How long an engine may take to stop what it was given: the longest step there is,
/// a prompt that is read in one piece. What runs after that, its scheduler meets.
const ENGINE_IDLE_MAX: Duration = Duration::from_secs(30);

/// What all benchmarks need.
pub(super) struct Conductor {
    pub(super) router: Router,
    pub(super) facts: Arc<dyn Facts>,
    pub(super) config: BenchmarksConfig,
    pub(super) loopback: OnceLock<Loopback>,
    pub(super) wire: OnceLock<Arc<dyn Wire>>,
}

/// One benchmark.
pub(super) struct Task {
    pub(super) id: BenchmarkId,
    pub(super) order: Order,
    pub(super) progress: Arc<Progress>,
    /// Becomes true, or loses its sender, when the benchmark shall stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Hears that the scheduler is the benchmark's.
    pub(super) on_claimed: Box<dyn FnOnce(Claimed) + Send>,
}

/// Why there is no result.
enum Stop {
    /// Somebody wished it.
    Cancelled,
    /// It could not be.
    Failed(RequestError),
}

impl From<RequestError> for Stop {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

impl From<BenchError> for Stop {
    fn from(error: BenchError) -> Self {
        let code = match &error {
            BenchError::AllFailed { .. } => ErrorCode::EngineFailed,
            BenchError::NothingLeft { .. } => ErrorCode::InvalidRequest,
            BenchError::Echo(_) => ErrorCode::Internal,
        };
        Self::Failed(RequestError::new(code, error.to_string()))
    }
}

impl Conductor {
    /// Carries a benchmark out. When it returns, its scheduler is free again.
    pub(super) async fn conduct(&self, task: Task) -> Outcome {
        match self.attempt(task).await {
            Ok(result) => Outcome::Done(Box::new(result)),
            Err(Stop::Cancelled) => Outcome::Cancelled,
            Err(Stop::Failed(error)) => Outcome::Failed(error.into()),
        }
    }

    async fn attempt(&self, task: Task) -> Result<BenchmarkResult, Stop> {
        let Task { id, order, progress, stop, on_claimed } = task;
        let mut end = std::pin::pin!(self.end(stop));
        let plan = order.plan().map_err(|error| RequestError::invalid(error.param, error.reason))?;
        // Before the claim, so that the scheduler is not kept longer than it need be.
        let generator = tokio::select! {
            generator = self.ceiling(&order, &plan) => generator?,
            why = &mut end => return Err(why),
        };
        let lease = tokio::select! {
            lease = self.router.claim(claim_spec(&order, &id)) => lease?,
            why = &mut end => return Err(why),
        };
        let mut engine = None;
        let mut measured = tokio::select! {
            measured = self.measure(&order, plan, generator, &lease, &mut engine, &progress, on_claimed) => measured,
            error = lease.lost() => Err(error.into()),
            why = &mut end => Err(why),
        };
        if let Some(engine) = engine
            && tokio::time::timeout(ENGINE_IDLE_MAX, engine.idle()).await.is_err()
        {
            tracing::warn!(benchmark = %id, "the engine still runs sequences of a benchmark that has ended");
        }
        let scheduler = lease.scheduler().id().clone();
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, benchmark = %id, "cannot release the claim; it will expire");
        }
        if let Ok(result) = &mut measured {
            // Only now: checksums of large files take their time.
            result.server = self.facts.of(&scheduler).await;
        }
        measured
    }

    /// Returns when the benchmark shall not go on.
    async fn end(&self, mut stop: watch::Receiver<bool>) -> Stop {
        let most = self.config.time_max;
        tokio::select! {
            // An error means that the actor is gone, and with it who wanted this.
            _ = stop.wait_for(|&stop| stop) => Stop::Cancelled,
            () = tokio::time::sleep(most) => {
                let message = format!("the benchmark took {} s, the most that one may", most.as_secs_f64());
                Stop::Failed(RequestError::new(ErrorCode::DeadlineExceeded, message))
            }
        }
    }

    /// What the generator can do in the ways in which this order uses it.
    async fn ceiling(&self, order: &Order, plan: &Plan) -> Result<GeneratorCheck, BenchError> {
        // Where the scheduler is, nobody knows yet; the generator does the same for both.
        let layers = order.layers(false);
        let mut generator = None;
        if layers.iter().any(|layer| !layer.is_http()) {
            generator = Some(in_process_ceiling(&order.shape, plan).await?);
        }
        // Token by token costs the generator more than one piece: where both are asked,
        // it is held to the harder.
        let hardest = layers.iter().copied().filter(|layer| layer.is_http()).max();
        if let (Some(layer), Some(loopback)) = (hardest, self.loopback.get()) {
            let settings = http_settings(loopback, order.chat.unwrap_or(true), layer);
            let http = http_ceiling(&settings, &order.shape, plan).await?;
            generator = Some(generator.map_or(http.clone(), |generator: GeneratorCheck| generator.stricter(http)));
        }
        generator.ok_or_else(|| BenchError::Echo("this server does not know its own address yet".to_owned()))
    }

    /// Measures under the lease. The engine, if it is asked directly, is left in
    /// `engine`: it must be idle before the scheduler goes back.
    #[expect(clippy::too_many_arguments, reason = "one caller, and all of it is needed")]
    async fn measure(
        &self,
        order: &Order,
        plan: Plan,
        generator: GeneratorCheck,
        lease: &Lease,
        engine: &mut Option<Arc<EngineTarget>>,
        progress: &Progress,
        on_claimed: Box<dyn FnOnce(Claimed) + Send>,
    ) -> Result<BenchmarkResult, Stop> {
        let started = unix_seconds();
        let rungs = Rungs::of(order, &self.router, lease, self.loopback.get(), self.wire.get()).await?;
        engine.clone_from(&rungs.engine);
        let drain = lease.wait_until_claimed().await?;
        let scheduler = lease.scheduler().id().clone();
        progress.enter(Status::Running);
        on_claimed(Claimed { scheduler, token: lease.token(), drain_seconds: drain.as_secs_f64() });
        let mut result = carry_out(order, plan, generator, rungs, started, progress).await?;
        result.commit.clone_from(&self.config.commit);
        if result.generator.objections.is_empty() {
            return Ok(result);
        }
        let objections = result.generator.objections.join("; ");
        let message = format!("the generator was the bottleneck, so there is no result: {objections}");
        Err(RequestError::new(ErrorCode::Internal, message).into())
    }
}

async fn carry_out(
    order: &Order,
    plan: Plan,
    mut generator: GeneratorCheck,
    rungs: Rungs,
    started: u64,
    progress: &Progress,
) -> Result<BenchmarkResult, Stop> {
    let shape = order.shape;
    // The connection, if there is one, lasts until all is measured.
    let Rungs { rungs, connection: _connection, .. } = rungs;
    if order.profile == Profile::Ladder {
        return Ok(climb(rungs, shape, plan, generator, started, progress).await?);
    }
    let contestants: Vec<Contestant> = rungs
        .into_iter()
        .map(|rung| Contestant { name: rung.name, target: rung.target, shape, server: Server::ThisProcess })
        .collect();
    let (kind, series, knee) = match (order.profile, shape, &contestants[..]) {
        (Profile::Sweep, Shape::Concurrent { concurrency }, [contestant]) => {
            let mut steps = Sweep::new(concurrency);
            let series = sweep(contestant, &plan, &mut steps, progress).await?;
            (Kind::Sweep, series, steps.knee())
        }
        _ => (Kind::Run, measure(&contestants, &plan, progress).await?, None),
    };
    generator.examine(&series);
    Ok(BenchmarkResult { knee, ..BenchmarkResult::new(kind, started, plan, series, generator) })
}

fn claim_spec(order: &Order, id: &BenchmarkId) -> ClaimSpec {
    let selector = ClaimSelector { scheduler: order.scheduler.clone(), model: order.model.clone() };
    ClaimSpec {
        ttl: Duration::from_secs_f64(order.claim.ttl_seconds),
        drain: order.claim.drain,
        min_serving: order.claim.min_serving,
        force: order.claim.force,
        ..ClaimSpec::new(selector, id.as_str())
    }
}

/// Seconds since 1970; 0 on a clock before that.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
