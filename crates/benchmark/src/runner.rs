//! Runs one benchmark: claims a scheduler, measures it, releases it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hostler_config::BenchmarksConfig;
use hostler_loadgen::ceiling::{GeneratorCheck, http_ceiling};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{BenchmarkResult, Kind};
use hostler_loadgen::rounds::{MeasureError, measure, sweep};
use hostler_loadgen::shape::{Shape, Sweep};
use hostler_loadgen::target::NamedTarget;
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::{ClaimSelector, ClaimSpec, Lease, Router};
use hostler_util::unix_time;
use tokio::sync::watch;

use crate::facts::Facts;
use crate::ladder::{in_process_ceiling, run_ladder};
use crate::loopback::{LoopbackGrpc, LoopbackHttp};
use crate::order::{Order, Profile};
use crate::progress::BenchmarkProgress;
use crate::queue::Outcome;
use crate::record::{BenchmarkId, HeldClaim, Status};
use crate::rungs::{Rungs, http_settings};
use crate::targets::EngineTarget;

/// How long an engine may take to end its sequences: its longest step is a prompt that is
/// prefilled in one piece. After this time, the scheduler gets the engine back while
/// sequences still run.
const ENGINE_IDLE_MAX: Duration = Duration::from_secs(30);

/// What all benchmarks share.
pub(super) struct Runner {
    pub(super) router: Router,
    pub(super) facts: Arc<dyn Facts>,
    pub(super) config: BenchmarksConfig,
    /// The commit that this program was built from, if known.
    pub(super) commit: Option<String>,
    pub(super) loopback_http: OnceLock<LoopbackHttp>,
    pub(super) loopback_grpc: OnceLock<Arc<dyn LoopbackGrpc>>,
}

/// One benchmark to run.
pub(super) struct Task {
    pub(super) id: BenchmarkId,
    pub(super) order: Order,
    pub(super) progress: Arc<BenchmarkProgress>,
    /// Becomes true, or loses its sender, when the benchmark must stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Called when the scheduler is claimed and drained.
    pub(super) on_claimed: Box<dyn FnOnce(HeldClaim) + Send>,
}

/// Why there is no result.
enum RunError {
    /// The benchmark was cancelled.
    Cancelled,
    /// The benchmark failed.
    Failed(RequestError),
    /// The claim yielded.
    Interrupted(RequestError),
}

impl From<RequestError> for RunError {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

impl From<MeasureError> for RunError {
    fn from(error: MeasureError) -> Self {
        let code = match &error {
            MeasureError::AllFailed { .. } => ErrorCode::EngineFailed,
            MeasureError::EmptyWindow { .. } => ErrorCode::InvalidRequest,
            MeasureError::Echo(_) => ErrorCode::Internal,
        };
        Self::Failed(RequestError::new(code, error.to_string()))
    }
}

impl Runner {
    /// Runs a benchmark. When it returns, the claim is released.
    pub(super) async fn run(&self, task: Task) -> Outcome {
        match self.try_run(task).await {
            Ok(result) => Outcome::Done(Box::new(result)),
            Err(RunError::Cancelled) => Outcome::Cancelled,
            Err(RunError::Failed(error)) => Outcome::Failed(error.into()),
            Err(RunError::Interrupted(error)) => Outcome::Interrupted(error.into()),
        }
    }

    async fn try_run(&self, task: Task) -> Result<BenchmarkResult, RunError> {
        let Task { id, order, progress, stop, on_claimed } = task;
        let mut stopped = std::pin::pin!(self.stopped(stop));
        let plan = order.plan().map_err(|error| RequestError::invalid(error.param, error.reason))?;
        // Measured before the claim, to hold the claim no longer than necessary.
        let generator = tokio::select! {
            generator = self.ceiling(&order, &plan) => generator?,
            error = &mut stopped => return Err(error),
        };
        let lease = tokio::select! {
            lease = self.router.claim(claim_spec(&order, &id)) => lease?,
            error = &mut stopped => return Err(error),
        };
        let mut engine = None;
        let mut measured = tokio::select! {
            measured = self.measure(&order, plan, generator, &lease, &mut engine, &progress, on_claimed) => measured,
            error = lease.lost() => Err(error.into()),
            error = &mut stopped => Err(error),
        };
        // Whichever was noticed first: the end of the claim also fails what is measured.
        if let Err(RunError::Failed(error)) = measured {
            measured = Err(if lease.has_yielded() { RunError::Interrupted(lease.lost().await) } else { error.into() });
        }
        if let Some(engine) = engine
            && tokio::time::timeout(ENGINE_IDLE_MAX, engine.idle()).await.is_err()
        {
            tracing::warn!(benchmark = %id, "the engine still runs sequences of an ended benchmark");
        }
        let scheduler = lease.scheduler().id().clone();
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, benchmark = %id, "cannot release the claim of a benchmark; it will expire");
        }
        if let Ok(result) = &mut measured {
            // After the release, because checksums of large files take a long time.
            result.server = self.facts.of(&scheduler).await;
        }
        measured
    }

    /// Returns when the benchmark must stop.
    async fn stopped(&self, mut stop: watch::Receiver<bool>) -> RunError {
        let time_max = self.config.time_max;
        tokio::select! {
            // An error means that the actor has ended.
            _ = stop.wait_for(|&stop| stop) => RunError::Cancelled,
            () = tokio::time::sleep(time_max) => {
                let message = format!("the benchmark exceeded its time limit of {} s", time_max.as_secs_f64());
                RunError::Failed(RequestError::new(ErrorCode::DeadlineExceeded, message))
            }
        }
    }

    /// The load generator's ceiling for the layers of this order.
    async fn ceiling(&self, order: &Order, plan: &Plan) -> Result<GeneratorCheck, MeasureError> {
        // The scheduler is not known yet; the load is the same for a remote one.
        let layers = order.layers(false);
        let mut generator = None;
        if layers.iter().any(|layer| !layer.is_http()) {
            generator = Some(in_process_ceiling(&order.shape, plan).await?);
        }
        // A stream costs the generator more than a single body: with both, its ceiling counts.
        let costliest = layers.iter().copied().filter(|layer| layer.is_http()).max();
        if let (Some(layer), Some(http)) = (costliest, self.loopback_http.get()) {
            let settings = http_settings(http, order.chat.unwrap_or(true), layer);
            let http = http_ceiling(&settings, &order.shape, plan).await?;
            generator = Some(generator.map_or(http.clone(), |generator: GeneratorCheck| generator.stricter(http)));
        }
        generator.ok_or_else(|| MeasureError::Echo("this server is not listening yet".to_owned()))
    }

    /// Measures under the lease. An engine that is measured directly is returned in `engine`:
    /// it must be idle before the claim is released.
    #[expect(clippy::too_many_arguments, reason = "one caller, which needs all of them")]
    async fn measure(
        &self,
        order: &Order,
        plan: Plan,
        generator: GeneratorCheck,
        lease: &Lease,
        engine: &mut Option<Arc<EngineTarget>>,
        progress: &BenchmarkProgress,
        on_claimed: Box<dyn FnOnce(HeldClaim) + Send>,
    ) -> Result<BenchmarkResult, RunError> {
        let started = unix_time().as_secs();
        let scheduler = lease.scheduler().id().clone();
        let energy = self.facts.energy(&scheduler);
        let (http, grpc) = (self.loopback_http.get(), self.loopback_grpc.get());
        let rungs = Rungs::of(order, &self.router, lease, http, grpc, energy.as_ref()).await?;
        engine.clone_from(&rungs.engine);
        let drain = lease.wait_until_claimed().await?;
        progress.set_status(Status::Running);
        on_claimed(HeldClaim { scheduler, token: lease.token(), drain_seconds: drain.as_secs_f64() });
        let mut result = run_profile(order, plan, generator, rungs, started, progress).await?;
        result.commit.clone_from(&self.commit);
        if result.generator.objections.is_empty() {
            return Ok(result);
        }
        let objections = result.generator.objections.join("; ");
        let message = format!("the load generator was the bottleneck, so there is no result: {objections}");
        Err(RequestError::new(ErrorCode::Internal, message).into())
    }
}

/// Measures the rungs as the order's profile requires.
async fn run_profile(
    order: &Order,
    plan: Plan,
    mut generator: GeneratorCheck,
    rungs: Rungs,
    started: u64,
    progress: &BenchmarkProgress,
) -> Result<BenchmarkResult, RunError> {
    let shape = order.shape;
    // Keep the connection open until all rungs are measured.
    let Rungs { rungs, connection: _connection, .. } = rungs;
    if order.profile == Profile::Ladder {
        return Ok(run_ladder(rungs, shape, plan, generator, started, progress).await?);
    }
    let targets: Vec<NamedTarget> = rungs.into_iter().map(|rung| rung.into_target(shape)).collect();
    let (kind, series, knee) = match (order.profile, shape, &targets[..]) {
        (Profile::Sweep, Shape::Concurrent { concurrency }, [target]) => {
            let mut steps = Sweep::new(concurrency);
            let series = sweep(target, &plan, &mut steps, progress).await?;
            (Kind::Sweep, series, steps.knee())
        }
        _ => (Kind::Run, measure(&targets, &plan, progress).await?, None),
    };
    generator.check(&series);
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
