//! All layers in one process report the same for the same load.

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use hostler_benchmark::targets::{EngineTarget, RequestTemplate, RouterTarget, SchedulerTarget};
use hostler_benchmark::{Rung, in_process_ceiling, run_ladder};
use hostler_executor::ExecutorFactory;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_loadgen::measure::{LiveCounters, RunSummary, Slo};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{Kind, Series};
use hostler_loadgen::rounds::{RunInfo, RunObserver, measure};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::{NamedTarget, ServerProcesses, Target};
use hostler_loadgen::workload::{Length, Prompts, Workload};
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};

const MODEL: &str = "simulated";
const STEP: Duration = Duration::from_millis(5);

fn plan() -> Plan {
    Plan {
        workload: Workload {
            prompts: Prompts::Fixed { text: "Tell a short story.".to_owned() },
            output_tokens: Length::fixed(20).expect("a length"),
            exact_length: true,
            temperature: 0.0,
            seed: 3,
            leaving: None,
            salt: 0,
        },
        requests: 8,
        seconds_max: None,
        request_seconds_max: 30.0,
        warm_up_requests: Some(1),
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats: 3,
        until: None,
        slo: Slo::default(),
    }
}

fn factory() -> Arc<SimulatedFactory> {
    let step_ms = STEP.as_secs_f64() * 1e3;
    let cost = CostModel { decode_step_ms: step_ms, decode_ms_per_sequence: 0.0, ..CostModel::FREE };
    let config = SimulatedConfig { cost, max_sequences: 2, ..SimulatedConfig::default() };
    Arc::new(SimulatedFactory::new(MODEL, config).expect("the settings are allowed"))
}

fn template() -> RequestTemplate {
    RequestTemplate { model: MODEL.into(), chat: false, claim: None }
}

fn rung(name: &str, target: impl Target) -> Rung {
    Rung { name: name.to_owned(), target: Arc::new(target), energy: None }
}

async fn scheduler() -> Arc<LocalScheduler> {
    let scheduler = LocalScheduler::start(SchedulerConfig::new("s", MODEL), factory());
    let serving = scheduler.snapshot().wait_for(|snapshot| snapshot.state == SchedulerState::Serving).await.is_ok();
    assert!(serving, "the scheduler lives");
    scheduler
}

#[actix::test]
async fn the_ladder_measures_the_same_engine_at_every_rung() {
    let scheduler = scheduler().await;
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    router.add(Arc::clone(&scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    let engine = factory().load(&()).expect("it has no model to load");
    let rungs = vec![
        rung("engine", EngineTarget::new(engine, template(), 8)),
        rung("scheduler", SchedulerTarget::new(scheduler, template())),
        rung("router", RouterTarget::new(router, template())),
    ];
    let shape = Shape::Concurrent { concurrency: 4 };
    let generator = in_process_ceiling(&shape, &plan()).await.expect("the echo runs");
    let result = run_ladder(rungs, shape, plan(), generator, 0, &()).await.expect("every rung answers");

    assert_eq!(result.kind, Kind::Ladder);
    assert_eq!(result.generator.objections, [""; 0]);
    for (series, layer) in result.series.iter().zip(["engine", "scheduler", "router"]) {
        assert_eq!(series.target.layer, layer);
        assert_eq!(series.target.facts["engine"], "simulated");
        series.runs.iter().for_each(check);
        let prompts = |series: &Series| series.runs.iter().map(|run| run.prompt_tokens).collect::<Vec<_>>();
        assert_eq!(prompts(series), prompts(&result.series[0]), "each round sends the same requests to all rungs");
    }
    // Each rung to the one below, and the third to the first.
    let pairs: Vec<(&str, &str)> = result.ratios.iter().map(|ratio| (&*ratio.of, &*ratio.to)).collect();
    assert_eq!(pairs, [("scheduler", "engine"), ("router", "scheduler"), ("router", "engine")]);
}

/// The engine runs two sequences and takes 5 ms for each of 20 tokens except the first:
/// no measurement may be faster.
fn check(run: &RunSummary) {
    assert_eq!((run.failed, run.short_answers, run.output_tokens), (0, 0, 160));
    let decode = 19.0 * STEP.as_secs_f64();
    let measured = run.output_tokens_per_second;
    assert!(measured > 0.0 && measured <= 2.0 * 20.0 / decode * 1.02, "{measured} tokens/s");
    let e2e = run.latencies.e2e.expect("there are answers").p50;
    assert!(e2e >= decode * 0.98 && e2e < run.seconds, "{e2e} s a request in {} s", run.seconds);
}

#[actix::test]
async fn a_refused_request_is_counted_by_its_code() {
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    router.add(scheduler().await).await.expect("the router runs");
    let router =
        Arc::new(RouterTarget::new(router, RequestTemplate { model: "another".into(), chat: false, claim: None }));
    let shape = Shape::Synchronous;
    let target =
        NamedTarget { name: "r".to_owned(), target: router, shape, server: ServerProcesses::ThisProcess, energy: None };
    let error = measure(&[target], &plan(), &()).await.expect_err("there is no such model");
    assert!(error.to_string().contains("not_found"), "{error}");
}

#[actix::test]
async fn dropping_a_measurement_cancels_its_requests() {
    let scheduler = scheduler().await;
    let target: Arc<dyn Target> =
        Arc::new(SchedulerTarget::new(Arc::clone(&scheduler) as Arc<dyn Scheduler>, template()));
    let shape = Shape::Concurrent { concurrency: 2 };
    let targets =
        [NamedTarget { name: "s".to_owned(), target, shape, server: ServerProcesses::ThisProcess, energy: None }];
    let mut long = plan();
    long.workload.output_tokens = Length::fixed(1000).expect("a length");
    let mut snapshot = scheduler.snapshot();
    tokio::select! {
        _ = measure(&targets, &long, &()) => panic!("5 s of work cannot have ended"),
        running = snapshot.wait_for(|snapshot| snapshot.running > 0) => assert!(running.is_ok()),
    }
    let idle = snapshot.wait_for(|snapshot| snapshot.running == 0 && snapshot.waiting_total() == 0);
    let idle = tokio::time::timeout(Duration::from_secs(10), idle).await;
    assert!(idle.is_ok_and(|idle| idle.is_ok()), "the sequences were cancelled");
}

/// The benchmark actor reads the progress of a run from these counters.
#[actix::test]
async fn live_counters_follow_the_run() {
    struct Recorder(std::sync::Mutex<Vec<Arc<LiveCounters>>>);
    impl RunObserver for Recorder {
        fn run_started(&self, run: &RunInfo<'_>, live: &Arc<LiveCounters>) {
            if !run.is_warm_up {
                self.0.lock().expect("no observer panicked").push(Arc::clone(live));
            }
        }
        fn run_ended(&self, _: &str, _: &RunSummary) {}
    }
    let engine = factory().load(&()).expect("it has no model to load");
    let target = Arc::new(EngineTarget::new(engine, template(), 2));
    let shape = Shape::Concurrent { concurrency: 2 };
    let targets =
        [NamedTarget { name: "e".to_owned(), target, shape, server: ServerProcesses::ThisProcess, energy: None }];
    let recorder = Recorder(std::sync::Mutex::default());
    let series: Vec<Series> = measure(&targets, &plan(), &recorder).await.expect("every run has answers");
    let tokens: Vec<u64> = series[0].runs.iter().map(|run| run.output_tokens).collect();
    let counted: Vec<u64> = recorder.0.lock().expect("no observer panicked").iter().map(|live| live.tokens()).collect();
    assert_eq!(counted, tokens);
    assert!(
        recorder.0.lock().expect("no observer panicked").iter().all(|live| live.in_flight() == 0 && live.ended() == 8)
    );
}
