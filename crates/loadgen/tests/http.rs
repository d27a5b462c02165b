//! The HTTP target against servers with known answers and timings.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_loadgen::ceiling::{EchoServer, EchoTimings, measure_ceiling};
use hostler_loadgen::measure::{Answer, Failure, LiveCounters, Slo, Stopwatch};
use hostler_loadgen::plan::Plan;
use hostler_loadgen::result::{self, BenchmarkResult, Comparison, Kind};
use hostler_loadgen::rounds::{MeasureError, measure};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::http::{Endpoint, HttpSettings, HttpTarget};
use hostler_loadgen::target::{NamedTarget, ServerProcesses, Target};
use hostler_loadgen::workload::{Length, Prompts, Workload};

const FIRST_TOKEN: Duration = Duration::from_millis(60);
const GAP: Duration = Duration::from_millis(10);

fn settings(base_url: String, stream: bool) -> HttpSettings {
    HttpSettings {
        base_url,
        api_key: None,
        model: None,
        endpoint: Endpoint::Chat,
        stream,
        extra_body: serde_json::Map::new(),
        claim: None,
    }
}

fn plan(requests: u64, tokens: u32) -> Plan {
    Plan {
        workload: Workload {
            prompts: Prompts::Fixed { text: "hello".to_owned() },
            output_tokens: Length::fixed(tokens).expect("a length"),
            exact_length: true,
            temperature: 0.0,
            seed: 1,
            leaving: None,
            salt: 0,
        },
        requests,
        seconds_max: None,
        request_seconds_max: 20.0,
        warm_up_requests: Some(1),
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats: 2,
        until: None,
        slo: Slo { ttft_seconds: Some(10.0), ..Slo::default() },
    }
}

async fn named_target(name: &str, url: String, stream: bool, shape: Shape) -> NamedTarget {
    let target = HttpTarget::connect(settings(url, stream)).await.expect("the server answers");
    NamedTarget {
        name: name.to_owned(),
        target: Arc::new(target),
        shape,
        server: ServerProcesses::Pids(Vec::new()),
        energy: None,
    }
}

/// Asserts a lower bound: the server's own delay. There is no fixed upper bound, so that the
/// tests pass on a busy machine; upper bounds are other measured times.
fn at_least(what: &str, seconds: f64, least: Duration) {
    let least = least.as_secs_f64() * 0.98;
    assert!(seconds >= least, "{what}: {seconds} s, where the server takes {least} s");
}

#[tokio::test]
async fn known_timings_are_measured() {
    let echo = EchoServer::start(EchoTimings { first_token: FIRST_TOKEN, gap: GAP }).expect("a port is free");
    let shape = Shape::Concurrent { concurrency: 2 };
    let targets = [named_target("a", echo.url(), true, shape).await, named_target("b", echo.url(), true, shape).await];
    let began = Instant::now();
    let series = measure(&targets, &plan(6, 11), &()).await.expect("every run has answers");
    let elapsed = began.elapsed().as_secs_f64();
    for series in &series {
        assert_eq!(series.runs.len(), 2);
        assert_eq!((series.failed(), series.short_answers()), (0, 0));
        for run in &series.runs {
            assert_eq!((run.requests, run.output_tokens, run.prompt_tokens), (6, 66, Some(6)));
            assert!(run.tokens_counted_by_server && !run.over_saturated);
            assert_eq!(run.goodput_per_second, Some(run.requests_per_second));
            let (ttft, itl) = (run.latencies.ttft.expect("tokens"), run.latencies.itl.expect("tokens"));
            assert_eq!((ttft.count, itl.count), (6, 60));
            let (tpot, e2e) = (run.latencies.tpot.expect("tokens"), run.latencies.e2e.expect("answers"));
            at_least("TTFT", ttft.p50, FIRST_TOKEN);
            at_least("E2E", e2e.p50, FIRST_TOKEN + GAP * 10);
            at_least("first token and gaps", ttft.mean + 10.0 * itl.mean, FIRST_TOKEN + GAP * 10);
            at_least("the run", run.seconds, (FIRST_TOKEN + GAP * 10) * 3);
            assert!(ttft.mean + 10.0 * itl.mean <= e2e.mean * 1.01, "gaps end before the answer does: {run:?}");
            assert!((ttft.mean + 10.0 * tpot.mean - e2e.mean).abs() <= e2e.mean * 0.01, "by definition: {run:?}");
            // Little's law: two in flight, never more.
            assert!(6.0 * e2e.mean <= 2.0 * run.seconds * 1.01 && run.seconds < elapsed, "{run:?}");
        }
    }
}

#[tokio::test]
async fn an_open_loop_sends_requests_when_they_are_due() {
    let echo = EchoServer::start(EchoTimings { first_token: FIRST_TOKEN, gap: GAP }).expect("a port is free");
    let target = named_target("a", echo.url(), true, Shape::Constant { rate: 40.0 }).await;
    let series = measure(&[target], &Plan { repeats: 1, ..plan(20, 5) }, &()).await.expect("every run has answers");
    let run = &series[0].runs[0];
    assert_eq!((run.requests, run.failed), (20, 0));
    assert!(run.lateness.is_some_and(|lateness| lateness.count == 20), "{:?}", run.lateness);
    // Twenty at 40/s: the last is sent after 475 ms, while each takes 100 ms.
    at_least("the run", run.seconds, Duration::from_millis(475) + FIRST_TOKEN + GAP * 4);
    // Sequential requests would take as long as all of them together.
    let together = 20.0 * run.latencies.e2e.expect("answers").mean;
    assert!(together > 1.5 * run.seconds, "{together} s of work in {} s", run.seconds);
}

#[tokio::test]
async fn an_answer_in_one_piece_has_no_time_to_first_token() {
    let echo = EchoServer::start(EchoTimings { first_token: FIRST_TOKEN, gap: GAP }).expect("a port is free");
    let target = named_target("a", echo.url(), false, Shape::Synchronous).await;
    let series = measure(&[target], &Plan { repeats: 1, ..plan(2, 5) }, &()).await.expect("every run has answers");
    let run = &series[0].runs[0];
    assert_eq!(run.output_tokens, 10);
    assert_eq!((run.latencies.ttft, run.latencies.itl), (None, None));
    at_least("E2E", run.latencies.e2e.expect("answers").p50, FIRST_TOKEN + GAP * 4);
}

#[tokio::test]
async fn the_ceiling_is_far_above_a_slow_server() {
    let echo = EchoServer::start(EchoTimings::default()).expect("a port is free");
    let shape = Shape::Concurrent { concurrency: 4 };
    let fast = named_target("echo", echo.url(), true, shape).await;
    let mut check = measure_ceiling(fast, &plan(40, 50)).await.expect("every run has answers");
    assert!(check.ceiling_tokens_per_second > 1000.0, "{check:?}");
    let server = EchoServer::start(EchoTimings { first_token: GAP, gap: GAP }).expect("a port is free");
    let slow = named_target("slow", server.url(), true, shape).await;
    check.check(&measure(&[slow], &plan(4, 10), &()).await.expect("every run has answers"));
    assert_eq!(check.objections, [""; 0]);
}

#[tokio::test]
async fn a_result_is_read_back_and_equals_itself() {
    let echo = EchoServer::start(EchoTimings { first_token: GAP, gap: Duration::ZERO }).expect("a port is free");
    let shape = Shape::Concurrent { concurrency: 2 };
    let targets = [named_target("A", echo.url(), true, shape).await, named_target("B", echo.url(), true, shape).await];
    let plan = plan(4, 5);
    let generator = measure_ceiling(targets[0].clone(), &plan).await.expect("every run has answers");
    let series = measure(&targets, &plan, &()).await.expect("every run has answers");
    let result = BenchmarkResult::new(Kind::Versus, 1_000, plan, series, generator);
    assert_eq!(result.ratios.len(), 1);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("result.json");
    result::write(&path, &result).expect("the folder is writable");
    let read = result::read(&path).expect("it was just written");
    assert_eq!(read.series.len(), 2);
    assert!(!Comparison::of(&result, &read, 0.0).has_regressed());
    std::fs::write(&path, r#"{"format": 99}"#).expect("the folder is writable");
    assert!(result::read(&path).is_err_and(|error| error.to_string().contains("format 99")));
}

#[tokio::test]
async fn kinds_of_failure_are_distinguished() {
    let refused = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 29\r\n\r\n{\"error\":{\"message\":\"later\"}}";
    assert_eq!(ask(refused).await, Err(Failure::Status { status: 429, message: "later".to_owned() }));
    let chunk = r#"data: {"choices":[{"delta":{"content":"a"}}]}"#;
    let error = r#"data: {"error":{"message":"the engine died"}}"#;
    let stream = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let broken = ask(&stream(&format!("{chunk}\n\n{error}\n\ndata: [DONE]\n\n"))).await;
    assert_eq!(broken, Err(Failure::Reported("the engine died".to_owned())));
    assert!(matches!(ask(&stream(&format!("{chunk}\n\n"))).await, Err(Failure::Protocol(_))));
    assert!(matches!(ask("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndata").await, Err(Failure::Connection(_))));
    let counted = ask(&stream(&format!("{chunk}\n\n{chunk}\n\ndata: [DONE]\n\n"))).await;
    assert_eq!(counted, Ok(Answer { prompt_tokens: None, output_tokens: 2, counted_by_server: false }));
}

#[tokio::test]
async fn a_server_that_refuses_everything_gives_no_result() {
    let url = scripted("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let http = HttpTarget::connect(HttpSettings { model: Some("m".to_owned()), ..settings(url, true) }).await;
    let target = NamedTarget {
        name: "a".to_owned(),
        target: Arc::new(http.expect("the model is named")),
        shape: Shape::Synchronous,
        server: ServerProcesses::Pids(Vec::new()),
        energy: None,
    };
    let error = measure(&[target], &plan(2, 5), &()).await.expect_err("every request fails");
    assert!(matches!(error, MeasureError::AllFailed { failure: Failure::Status { status: 503, .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_request_on_a_closed_connection_is_sent_once_more() {
    let chunk = r#"data: {"choices":[{"delta":{"content":"a"}}]}"#;
    let body = format!("{chunk}\n\ndata: [DONE]\n\n");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // The first is for the list of models, which is not needed.
    assert!(ask_at(closing(2, &answer)).await.is_ok());
    assert!(matches!(ask_at(closing(3, &answer)).await, Err(Failure::Connection(_))));
}

/// One request to a server that answers everything with `answer`.
async fn ask(answer: &str) -> Result<Answer, Failure> {
    ask_at(scripted(answer)).await
}

async fn ask_at(url: String) -> Result<Answer, Failure> {
    let settings = HttpSettings { model: Some("m".to_owned()), ..settings(url, true) };
    let target = HttpTarget::connect(settings).await.expect("the model is named");
    let job = plan(1, 5).workload.job(0);
    let mut stopwatch = Stopwatch::start(Instant::now(), None, &job, Arc::new(LiveCounters::default()));
    target.generate(&job, &mut stopwatch).await
}

/// A server that sends this answer to every request and closes the connection.
fn scripted(answer: &str) -> String {
    closing(0, answer)
}

/// The same, but the first `count` connections are closed without an answer.
fn closing(count: usize, answer: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    // Announces the close, so that the client does not reuse the connection.
    let answer = answer.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1).into_bytes();
    std::thread::spawn(move || {
        for (number, mut connection) in listener.incoming().flatten().enumerate() {
            let mut reader = BufReader::new(connection.try_clone().expect("a socket can be cloned"));
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("the client sends a number");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() && number >= count {
                connection.write_all(&answer).ok();
            }
        }
    });
    url
}
