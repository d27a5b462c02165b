//! Overload, in virtual time; `examples/overload.rs` shows the same with threads and a
//! clock.

mod virtual_time;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use hostler_protocol::{ErrorCode, Priority};
use hostler_scheduler::SchedulerConfig;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use virtual_time::{Ask, VirtualScheduler, percentile};

const MINUTE: Duration = Duration::from_secs(60);

fn config(queue: u32) -> SchedulerConfig {
    let mut config = SchedulerConfig::new("virtual", "virtual");
    config.queue.requests_max = queue;
    config
}

/// A request with an answer of 16 to 64 tokens, of the 64 that it reserves.
fn ask(random: &mut StdRng, tenant: &'static str) -> Ask {
    Ask {
        tenant,
        class: Priority::Default,
        prompt_tokens: random.random_range(10..40),
        answer_tokens_max: 64,
        answer_tokens: random.random_range(16..=64),
        fingerprint: random.random(),
    }
}

/// Requests per second while the queue is never empty.
fn capacity() -> f64 {
    let mut random = StdRng::seed_from_u64(1);
    let mut scheduler = VirtualScheduler::new(&config(64));
    let end = scheduler.now + MINUTE;
    while scheduler.now < end {
        while scheduler.state.waiting().iter().sum::<u32>() < 8 {
            let ask = ask(&mut random, "only");
            scheduler.submit(ask).expect("there is room");
        }
        scheduler.run_until(scheduler.now + Duration::from_millis(5));
    }
    finished(&scheduler) / MINUTE.as_secs_f64()
}

fn finished(scheduler: &VirtualScheduler) -> f64 {
    scheduler.fates.values().filter(|fate| fate.finished.is_some()).count() as f64
}

#[test]
fn at_twice_the_capacity_goodput_holds_and_retries_at_the_reserved_time_are_admitted() {
    for queue in [16, 64, 256] {
        let capacity = capacity();
        let mut random = StdRng::seed_from_u64(2);
        let mut scheduler = VirtualScheduler::new(&config(queue));
        let start = scheduler.now;
        // When requests arrive, and whether they are retries.
        let mut arrivals = BinaryHeap::new();
        let mut at = Duration::ZERO;
        while at < MINUTE {
            at += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / (2.0 * capacity));
            let ask = ask(&mut random, "only");
            arrivals.push(Reverse((at, false, ask.fingerprint, ask.prompt_tokens, ask.answer_tokens)));
        }
        let (mut returned, mut admitted, mut refused) = (0, 0, 0);
        while let Some(Reverse((at, returns, fingerprint, prompt_tokens, answer_tokens))) = arrivals.pop() {
            if at > MINUTE {
                break;
            }
            scheduler.run_until(start + at);
            let (tenant, class) = ("only", Priority::Default);
            let ask = Ask { tenant, class, prompt_tokens, answer_tokens_max: 64, answer_tokens, fingerprint };
            let answer = scheduler.submit(ask);
            returned += u32::from(returns);
            admitted += u32::from(returns && answer.is_ok());
            if let Err(error) = answer {
                assert_eq!(error.code, ErrorCode::Overloaded);
                refused += 1;
                let retry_after = error.retry_after.expect("an overloaded scheduler gives a retry time");
                // As in the HTTP header: whole seconds, rounded up.
                let wait = Duration::from_secs(retry_after.as_secs_f64().ceil() as u64);
                arrivals.push(Reverse((at + wait, true, fingerprint, prompt_tokens, answer_tokens)));
            }
        }
        scheduler.run_until(start + MINUTE);
        let goodput = finished(&scheduler) / MINUTE.as_secs_f64();
        let success = f64::from(admitted) / f64::from(returned);
        println!(
            "queue {queue}: goodput {goodput:.2} of {capacity:.2} requests/s; {refused} refused, {returned} returned, {:.1} % admitted",
            success * 100.0
        );
        assert_eq!(scheduler.refused_late, 0, "every admitted request is started");
        assert!(goodput >= 0.95 * capacity, "{goodput} of {capacity}");
        assert!(returned > 100 && success >= 0.9, "{admitted} of {returned} retries were admitted");
    }
}

#[test]
fn the_estimated_wait_is_near_the_real_one() {
    let mut random = StdRng::seed_from_u64(3);
    let mut scheduler = VirtualScheduler::new(&config(256));
    let mut estimates = Vec::new();
    for number in 0..400 {
        let wait = scheduler.state.estimated_wait(Priority::Default);
        if let Ok(ticket) = scheduler.submit(ask(&mut random, "only")) {
            estimates.push((ticket, wait));
        }
        // Twice the capacity at first, so that waits of all lengths occur.
        scheduler.run_until(scheduler.now + Duration::from_millis(if number < 200 { 80 } else { 160 }));
    }
    scheduler.run_until(scheduler.now + MINUTE);
    let mut errors = Vec::new();
    for (ticket, wait) in estimates.into_iter().skip(50) {
        let fate = scheduler.fates[&ticket];
        let real = fate.started.expect("it ran") - fate.submitted;
        let estimate = wait.expect("the rate is known by now");
        errors.push(estimate.abs_diff(real).div_f64(real.as_secs_f64().max(1.0)));
    }
    let error = percentile(&mut errors, 0.9);
    assert!(error < Duration::from_millis(250), "9 of 10 estimates are within a quarter: {error:?}");
}

/// The p95 queue time of a tenant that sends bursts of two batches, with a quarter of the
/// engine's capacity on average.
fn light_tenant_p95(with_heavy_tenant: bool) -> Duration {
    let capacity = capacity();
    let mut random = StdRng::seed_from_u64(4);
    let mut scheduler = VirtualScheduler::new(&config(256));
    let burst = 16;
    let between = Duration::from_secs_f64(f64::from(burst) / (capacity / 4.0));
    let mut light = Vec::new();
    for _ in 0..40 {
        for _ in 0..burst {
            light.push(scheduler.submit(ask(&mut random, "light")).expect("there is always room for a light tenant"));
        }
        let end = scheduler.now + between;
        // Ten times as much, spread evenly.
        let pause = between / (10 * burst);
        while scheduler.now < end {
            if with_heavy_tenant {
                let _ = scheduler.submit(ask(&mut random, "heavy"));
            }
            scheduler.run_until(scheduler.now + pause);
        }
    }
    let mut waits: Vec<Duration> = light
        .iter()
        .map(|ticket| scheduler.fates[ticket])
        .filter_map(|fate| Some(fate.started? - fate.submitted))
        .collect();
    percentile(&mut waits, 0.95)
}

#[test]
fn a_tenant_that_sends_ten_times_as_much_at_most_doubles_the_wait_of_a_light_one() {
    let (alone, shared) = (light_tenant_p95(false), light_tenant_p95(true));
    println!("p95 queue time of the light tenant: {alone:?} alone, {shared:?} alongside the heavy one");
    assert!(shared <= alone * 2, "{shared:?} against {alone:?}");
}
