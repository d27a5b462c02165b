//! Requests on a working engine.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use hostler_protocol::{Constraint, Conversation, Deadline, ErrorCode, FinishReason, Prompt, TokenEvent};
use hostler_scheduler::{Scheduler, SchedulerState};
use support::{FakeFactory, config, eventually, is_idle, read, request, serving, until};

#[actix::test]
async fn forty_requests_are_answered_in_full_eight_at_a_time() {
    let (factory, controls) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let answers = join_all((0..40).map(|_| async {
        let generation = scheduler.submit(request(10, 20)).await.expect("room for forty");
        assert_eq!(generation.prompt_tokens, 10);
        read(generation).await
    }))
    .await;
    for answer in answers {
        assert_eq!(answer, (20, Ok(FinishReason::Length)));
    }
    until(&scheduler, "idle", is_idle).await;
    assert_eq!(controls.most_at_once.load(Ordering::SeqCst), 8);
    scheduler.stop().await;
    assert_eq!(controls.threads.load(Ordering::SeqCst), 0, "the engine is gone");
    assert_eq!(scheduler.snapshot().borrow().state, SchedulerState::Stopped);
    let after = scheduler.submit(request(1, 1)).await.err().expect("stopped");
    assert_eq!(after.code, ErrorCode::Unavailable);
}

/// A constraint is compiled before its request is queued: it occupies no slot, delays no
/// other request, and is abandoned after a second.
#[actix::test]
async fn a_constraint_that_compiles_forever_is_refused_and_delays_no_other_request() {
    let (mut factory, controls) = FakeFactory::new();
    let description = &mut Arc::get_mut(&mut factory).expect("the only reference").description;
    description.capabilities.constraints = true;
    description.driving.max_sequences = 1;
    let scheduler = serving(config(), factory).await;
    let constrained = |regex: &str| {
        let mut request = request(10, 20);
        request.constraint = Some(Constraint::Regex(regex.to_owned()));
        request
    };
    let slow = scheduler.submit(constrained("slow"));
    let others = async {
        for _ in 0..3 {
            let generation = scheduler.submit(constrained("quick")).await.expect("the slot is free");
            assert_eq!(read(generation).await, (20, Ok(FinishReason::Length)));
        }
        Instant::now()
    };
    let refused = async { (slow.await.err().expect("it never compiles"), Instant::now()) };
    let ((error, refused), answered) = futures::join!(refused, others);
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("regex")));
    assert!(error.message.contains("1 s"), "{error}");
    assert!(answered < refused, "the others waited for it");
    assert_eq!(controls.given.load(Ordering::SeqCst), 3, "the engine never saw it");
    until(&scheduler, "idle", is_idle).await;
    scheduler.stop().await;
}

#[actix::test]
async fn a_request_that_can_never_run_is_refused_with_what_would_fit() {
    let (factory, _) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let refusal = async |request| scheduler.submit(request).await.err().expect("refused");

    let error = refusal(request(2000, 100)).await;
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("max_tokens")));
    assert!(
        error.message.contains("2100") && error.message.contains("2048") && error.message.contains("48"),
        "{error}"
    );

    let error = refusal(request(5000, 1)).await;
    assert_eq!(error.param.as_deref(), Some("prompt"));
    assert!(error.message.contains("5000") && error.message.contains("2047"), "{error}");

    let error = refusal(request(0, 1)).await;
    assert_eq!(error.param.as_deref(), Some("prompt"));

    let mut unknown_token = request(1, 1);
    unknown_token.prompt = Prompt::Tokens(vec![1000]);
    let error = refusal(unknown_token).await;
    assert!(error.message.contains("1000"), "{error}");

    let mut with_logprobs = request(1, 1);
    with_logprobs.top_logprobs = Some(1);
    assert_eq!(refusal(with_logprobs).await.param.as_deref(), Some("logprobs"));

    let mut chat = request(1, 1);
    chat.prompt = Prompt::Chat(Conversation::default());
    assert_eq!(refusal(chat).await.param.as_deref(), Some("messages"));
    scheduler.stop().await;
}

#[actix::test]
async fn a_dropped_queued_request_leaves_at_once_and_never_reaches_the_engine() {
    let (factory, controls) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let mut running = Vec::new();
    for _ in 0..8 {
        running.push(scheduler.submit(request(10, 1000)).await.expect("room"));
    }
    until(&scheduler, "a full batch", |snapshot| snapshot.running == 8).await;
    let queued = scheduler.submit(request(10, 10)).await.expect("room in the queue");
    assert_eq!(scheduler.snapshot().borrow().waiting_total(), 1);
    drop(queued);
    until(&scheduler, "the queue is empty", |snapshot| snapshot.waiting_total() == 0).await;
    assert_eq!(scheduler.snapshot().borrow().running, 8, "it did not wait for a slot");
    assert_eq!(controls.given.load(Ordering::SeqCst), 8);
    drop(running);
    until(&scheduler, "idle", is_idle).await;
    scheduler.stop().await;
}

#[actix::test]
async fn a_request_is_cancelled_by_its_id_queued_or_running() {
    let (factory, _) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let mut generations = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..9 {
        let request = request(10, 1000);
        ids.push(request.id);
        generations.push(scheduler.submit(request).await.expect("room"));
    }
    for id in [ids[8], ids[0]] {
        assert!(scheduler.cancel(id).await, "it is there");
    }
    for generation in [generations.remove(8), generations.remove(0)] {
        let (_, end) = read(generation).await;
        assert_eq!(end.expect_err("cancelled").code, ErrorCode::Cancelled);
    }
    until(&scheduler, "two are gone", |snapshot| snapshot.running == 7).await;
    assert!(!scheduler.cancel(ids[0]).await, "it is gone");
    drop(generations);
    until(&scheduler, "idle", is_idle).await;
    scheduler.stop().await;
}

#[actix::test]
async fn a_deadline_ends_a_request_in_the_queue_and_in_the_engine() {
    let (factory, controls) = FakeFactory::new();
    let mut config = config();
    config.max_batch_size = 1;
    let scheduler = serving(config, factory).await;
    let due = |milliseconds| Deadline::after(Instant::now(), Duration::from_millis(milliseconds));
    let mut long = request(10, 2000);
    long.deadline = due(200);
    let mut queued = request(10, 10);
    queued.deadline = due(60);
    let running = scheduler.submit(long).await.expect("room");
    let queued = scheduler.submit(queued).await.expect("room");
    let (tokens, end) = read(queued).await;
    assert_eq!((tokens, end.expect_err("too late").code), (0, ErrorCode::DeadlineExceeded));
    let (tokens, end) = read(running).await;
    assert_eq!(end.expect_err("too late").code, ErrorCode::DeadlineExceeded);
    assert!(tokens > 0, "it ran");
    assert_eq!(controls.given.load(Ordering::SeqCst), 1, "the queued one never reached the engine");

    let mut late = request(10, 10);
    late.deadline = due(0);
    let error = scheduler.submit(late).await.err().expect("refused");
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    until(&scheduler, "idle", is_idle).await;
    scheduler.stop().await;
}

#[actix::test]
async fn a_client_that_does_not_read_delays_no_other() {
    let (factory, _) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let unread = scheduler.submit(request(10, 1500)).await.expect("room");
    for _ in 0..3 {
        let generation = scheduler.submit(request(10, 30)).await.expect("room");
        assert_eq!(read(generation).await, (30, Ok(FinishReason::Length)));
    }
    until(&scheduler, "the unread request has finished", is_idle).await;
    assert_eq!(read(unread).await.0, 1500, "and lost no token");
    scheduler.stop().await;
}

#[actix::test]
async fn a_drain_finishes_admitted_requests_and_refuses_new_ones() {
    let (factory, _) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let mut generations = Vec::new();
    for _ in 0..12 {
        generations.push(scheduler.submit(request(10, 100)).await.expect("room"));
    }
    let drained = tokio::time::timeout(Duration::from_secs(10), scheduler.drain());
    let refused = async {
        until(&scheduler, "draining", |snapshot| snapshot.state == SchedulerState::Draining).await;
        scheduler.submit(request(1, 1)).await.err().expect("draining")
    };
    let (drained, error) = futures::join!(drained, refused);
    drained.expect("it ends");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(is_idle(&scheduler.snapshot().borrow()));
    for answer in join_all(generations.into_iter().map(read)).await {
        assert_eq!(answer, (100, Ok(FinishReason::Length)));
    }
    scheduler.resume().await;
    until(&scheduler, "serving again", |snapshot| snapshot.state == SchedulerState::Serving).await;
    assert!(scheduler.submit(request(1, 1)).await.is_ok());
    scheduler.stop().await;
}

#[actix::test]
async fn after_a_thousand_requests_half_of_them_dropped_nothing_is_reserved() {
    let (factory, controls) = FakeFactory::new();
    controls.step_us.store(200, Ordering::SeqCst);
    let mut config = config();
    config.queue.requests_max = 4096;
    let scheduler = serving(config, factory).await;
    let answers = join_all((0_u32..1000).map(|number| {
        let scheduler = &scheduler;
        async move {
            let mut generation = scheduler.submit(request(5, 10)).await.expect("room");
            if number % 2 == 0 {
                return read(generation).await.0 == 10;
            }
            // Some are dropped in the queue, some before their first token, some after it.
            for _ in 0..number % 9 {
                let event = generation.events.next().await;
                assert!(!matches!(event, None | Some(TokenEvent::Failed(_))), "{event:?}");
            }
            true
        }
    }))
    .await;
    assert!(answers.into_iter().all(|complete| complete));
    until(&scheduler, "idle", is_idle).await;
    scheduler.stop().await;
    eventually("the engine's thread has ended", || controls.threads.load(Ordering::SeqCst) == 0).await;
}
