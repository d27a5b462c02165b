//! Workloads of several requests: conversations, traces, early disconnects.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostler_loadgen::drive::{RunLimits, drive};
use hostler_loadgen::measure::{Answer, Failure, LiveCounters, RequestRecord, Stopwatch};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::{Target, TargetDescription};
use hostler_loadgen::workload::{EarlyDisconnect, Job, Length, Prompts, Trace, TraceRow, Workload};
use proptest::prelude::*;
use tokio::sync::Semaphore;

/// Answers each request with its index, token by token, and records the requests.
#[derive(Default)]
struct Recorder {
    jobs: Mutex<Vec<Job>>,
    fails_at: Option<u64>,
}

#[async_trait]
impl Target for Recorder {
    fn describe(&self) -> TargetDescription {
        let text = String::new;
        TargetDescription {
            layer: text(),
            address: text(),
            model: text(),
            settings: serde_json::Value::Null,
            facts: serde_json::Value::Null,
        }
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        self.jobs.lock().expect("no test thread panicked").push(job.clone());
        if self.fails_at == Some(job.index) {
            return Err(Failure::Reported("no".to_owned()));
        }
        for _ in 0..job.max_tokens {
            stopwatch.record_token(Instant::now());
            stopwatch.record_text(&format!("<{}>", job.index));
            tokio::task::yield_now().await;
        }
        Ok(Answer { prompt_tokens: Some(1), output_tokens: job.max_tokens, counted_by_server: true })
    }
}

fn workload(prompts: Prompts, tokens: u32) -> Workload {
    Workload {
        prompts,
        output_tokens: Length::fixed(tokens).expect("a length"),
        exact_length: true,
        temperature: 0.0,
        seed: 5,
        leaving: None,
        salt: 0,
    }
}

fn conversations(turns: u32) -> Prompts {
    Prompts::Conversation { turns, tokens: Length::fixed(3).expect("a length") }
}

fn limits(requests: u64) -> RunLimits {
    let request_time_max = Duration::from_secs(30);
    RunLimits { first: 0, requests, time_max: None, request_time_max, in_flight_max: 4096 }
}

async fn run(recorder: &Arc<Recorder>, workload: Workload, shape: Shape, requests: u64) -> Vec<RequestRecord> {
    let target: Arc<dyn Target> = Arc::clone(recorder) as _;
    drive(&target, &Arc::new(workload), &shape, limits(requests), &Arc::new(LiveCounters::default())).await
}

#[tokio::test]
async fn a_turn_contains_the_whole_conversation_so_far() {
    let recorder = Arc::new(Recorder::default());
    let shape = Shape::Concurrent { concurrency: 2 };
    let records = run(&recorder, workload(conversations(3), 2), shape, 6).await;
    assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let mut jobs = recorder.jobs.lock().expect("no test thread panicked").clone();
    jobs.sort_by_key(|job| job.index);
    for start in [0, 3] {
        let [first, second, third] = &jobs[start..start + 3] else { panic!("three turns") };
        assert!(first.history.is_empty());
        assert_eq!(second.history.len(), 1);
        assert_eq!((&third.history[0].prompt, &third.history[1].prompt), (&first.prompt, &second.prompt));
        assert_eq!(third.history[1].answer, format!("<{0}><{0}>", second.index), "the answer of the previous turn");
        assert!(third.text().ends_with(&third.prompt) && third.text().starts_with(&first.prompt));
    }
}

#[tokio::test]
async fn a_failed_turn_ends_the_conversation() {
    let recorder = Arc::new(Recorder { fails_at: Some(1), ..Recorder::default() });
    let records = run(&recorder, workload(conversations(3), 2), Shape::Synchronous, 6).await;
    assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
}

#[tokio::test]
async fn clients_disconnect_after_the_configured_tokens_without_a_failure() {
    let recorder = Arc::new(Recorder::default());
    let mut workload = workload(Prompts::Fixed { text: "x".to_owned() }, 20);
    workload.leaving = Some(EarlyDisconnect { share: 1.0, after_tokens: Length::fixed(7).expect("a length") });
    let live = Arc::new(LiveCounters::default());
    let target: Arc<dyn Target> = Arc::clone(&recorder) as _;
    let records = drive(&target, &Arc::new(workload), &Shape::Synchronous, limits(5), &live).await;
    for record in &records {
        assert_eq!((record.token_times.len(), &record.outcome), (7, &Err(Failure::Disconnected)));
    }
    assert_eq!((records.len(), live.failed(), live.in_flight()), (5, 0, 0));
}

/// Answers when it is told to.
struct Held(Semaphore);

impl Default for Held {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

#[async_trait]
impl Target for Held {
    fn describe(&self) -> TargetDescription {
        Recorder::default().describe()
    }

    async fn generate(&self, _: &Job, _: &mut Stopwatch) -> Result<Answer, Failure> {
        let _answered = self.0.acquire().await;
        Ok(Answer { prompt_tokens: None, output_tokens: 1, counted_by_server: true })
    }
}

#[tokio::test]
async fn requests_that_cannot_be_sent_are_counted() {
    let held = Arc::new(Held::default());
    let target: Arc<dyn Target> = Arc::clone(&held) as _;
    let live = Arc::new(LiveCounters::default());
    let workload = Arc::new(workload(Prompts::Fixed { text: "x".to_owned() }, 1));
    let (shape, limits) = (Shape::Constant { rate: 1e6 }, RunLimits { in_flight_max: 2, ..limits(5) });
    let release = async {
        while live.unsent() < 3 {
            tokio::task::yield_now().await;
        }
        held.0.close();
    };
    let (records, ()) = tokio::join!(drive(&target, &workload, &shape, limits, &live), release);
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn a_trace_is_replayed_with_its_times_and_lengths() {
    let row =
        |timestamp, input_length, output_length| TraceRow { timestamp, input_length, output_length, hash_ids: vec![] };
    let rows = vec![row(0.0, 4, 2), row(100.0, 6, 3), row(200.0, 8, 1)];
    let trace = Trace::from_rows("t".to_owned(), String::new(), rows).expect("a trace");
    let recorder = Arc::new(Recorder::default());
    let records = run(&recorder, workload(Prompts::Trace(trace), 50), Shape::Replay { speed: 2.0 }, 10).await;
    let due: Vec<_> = records.iter().map(|record| record.due.as_millis()).collect();
    assert_eq!(due, [0, 50, 100], "no more requests than the trace has");
    assert_eq!(records.iter().map(|record| record.tokens_requested).collect::<Vec<_>>(), [2, 3, 1]);
    let mut jobs = recorder.jobs.lock().expect("no test thread panicked").clone();
    jobs.sort_by_key(|job| job.index);
    assert_eq!(jobs.iter().map(|job| job.prompt.split(' ').count()).collect::<Vec<_>>(), [4, 6, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// For any number of turns and requests, every request is sent once, in a closed loop and
    /// in an open one.
    #[test]
    fn every_request_is_sent_once(turns in 1u32..6, requests in 1u64..20, concurrency in 1u32..5, open: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shape = if open { Shape::Constant { rate: 100_000.0 } } else { Shape::Concurrent { concurrency } };
        let recorder = Arc::new(Recorder::default());
        let records = runtime.block_on(run(&recorder, workload(conversations(turns), 1), shape, requests));
        let indices: Vec<u64> = records.iter().map(|record| record.index).collect();
        prop_assert_eq!(indices, (0..requests).collect::<Vec<_>>());
        for job in recorder.jobs.lock().expect("no test thread panicked").iter() {
            prop_assert_eq!(job.history.len() as u64, job.index % u64::from(turns));
        }
    }
}
