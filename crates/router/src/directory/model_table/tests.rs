//! What a decision may know, and for how long.

use hostler_config::RoutingPolicy;
use hostler_protocol::{ErrorCode, GenerationRequest, Prompt};
use hostler_scheduler::SchedulerState;
use hostler_testkit::{FakeBehaviour, FakeScheduler};
use proptest::prelude::*;

use super::*;

fn table(policy: RoutingPolicy, now: Instant) -> ModelTable {
    let config = RouterConfig { policy, slow_start: Duration::ZERO, ..RouterConfig::default() };
    ModelTable::new("m".into(), Arc::new(config), 1, now)
}

fn request(policy: RoutingPolicy, prompt: &str) -> RouteRequest {
    let request = GenerationRequest::new("m".into(), Prompt::Text(prompt.to_owned()));
    RouteRequest::for_generation(&request, &[], policy == RoutingPolicy::PrefixAware)
}

fn schedulers(table: &ModelTable, count: usize, now: Instant) -> Vec<Arc<FakeScheduler>> {
    let new = |index| FakeScheduler::new(&format!("s{index}"), FakeBehaviour::Hold);
    let all: Vec<Arc<FakeScheduler>> = (0..count).map(new).collect();
    for one in &all {
        table.add(Arc::clone(one) as Arc<dyn Scheduler>, now);
    }
    all
}

fn chosen(table: &ModelTable, now: Instant) -> String {
    let chosen = table.choose(&request(RoutingPolicy::LeastLoaded, ""), now).expect("one serves");
    let id = chosen.scheduler.id().to_string();
    let work = Arc::clone(chosen.held.work());
    drop(chosen.held);
    table.settle(chosen.slot, &work, now);
    id
}

#[test]
fn a_state_that_has_just_changed_is_seen_by_the_next_decision() {
    let now = Instant::now();
    let table = table(RoutingPolicy::LeastLoaded, now);
    let all = schedulers(&table, 3, now);
    let set = |state| all[0].snapshot.send_modify(|snapshot| snapshot.state = state);
    let ids = |now| (0..6).map(|_| chosen(&table, now)).collect::<Vec<String>>();
    let mut now = now;
    for state in SchedulerState::ALL.into_iter().filter(|&state| state != SchedulerState::Serving) {
        set(SchedulerState::Serving);
        now += AGE_MAX;
        assert!(ids(now).contains(&"s0".to_owned()));
        set(state);
        assert!(!ids(now).contains(&"s0".to_owned()), "{state:?}");
    }
    all.iter().for_each(|one| one.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Draining));
    let error = table.choose(&request(RoutingPolicy::LeastLoaded, ""), now).err().expect("none serves");
    assert_eq!(error.code, ErrorCode::Unavailable);
    all[2].snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Serving);
    assert_eq!(chosen(&table, now), "s2", "all are read before a decision fails");
}

#[test]
fn a_load_of_another_scheduler_is_never_used_for_longer_than_the_bound() {
    let now = Instant::now();
    let table = table(RoutingPolicy::LeastLoaded, now);
    let all = schedulers(&table, 2, now);
    let set = |index: usize, tokens| {
        all[index].snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = tokens);
    };
    set(0, 100);
    set(1, 5_000);
    assert_eq!(chosen(&table, now + AGE_MAX), "s0");
    // Only what is chosen is read at once.
    set(1, 0);
    assert_eq!(chosen(&table, now + AGE_MAX * 2 - Duration::from_nanos(1)), "s0");
    assert_eq!(chosen(&table, now + AGE_MAX * 2), "s1");
    set(1, 5_000);
    assert_eq!(chosen(&table, now + AGE_MAX * 2), "s0", "the chosen one is read in the decision");
}

#[test]
fn a_prefix_is_forgotten_when_its_scheduler_restarts() {
    let now = Instant::now();
    let table = table(RoutingPolicy::PrefixAware, now);
    let all = schedulers(&table, 2, now);
    let route = request(RoutingPolicy::PrefixAware, &"a common prefix ".repeat(50));
    let first = table.choose(&route, now).expect("one serves").slot;
    let matched = || {
        let explanation = table.explain(&route, now);
        explanation.schedulers.iter().map(|one| one.matched_blocks).max()
    };
    assert!(matched() > Some(0));
    all[first].snapshot.send_modify(|snapshot| snapshot.restarts += 1);
    assert_eq!(matched(), Some(0));
}

proptest! {
    #[test]
    fn what_is_in_flight_returns_to_zero_and_only_serving_schedulers_are_chosen(
        steps in prop::collection::vec((0u8..4, 0usize..5, 0usize..6), 1..120),
        policy in prop::sample::select(&RoutingPolicy::ALL[..]),
    ) {
        let now = Instant::now();
        let table = table(policy, now);
        let all = schedulers(&table, 5, now);
        let mut running: Vec<Chosen> = Vec::new();
        let end = |chosen: Chosen| {
            let work = Arc::clone(chosen.held.work());
            drop(chosen.held);
            table.settle(chosen.slot, &work, now);
        };
        for (step, index, state) in steps {
            match step {
                0 => all[index].snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::ALL[state]),
                1 if !running.is_empty() => end(running.swap_remove(index % running.len())),
                _ => match table.choose(&request(policy, "a prompt"), now) {
                    Ok(chosen) => {
                        let state = chosen.scheduler.snapshot().borrow().state;
                        prop_assert_eq!(state, SchedulerState::Serving);
                        running.push(chosen);
                    }
                    Err(_) => {
                        let serving = |one: &Arc<FakeScheduler>| {
                            one.snapshot.borrow().state == SchedulerState::Serving
                        };
                        prop_assert!(!all.iter().any(serving));
                    }
                },
            }
            let explained = table.explain(&request(policy, ""), now);
            let counted: u32 = explained.schedulers.iter().map(|one| one.requests).sum();
            prop_assert_eq!(counted as usize, running.len());
        }
        running.into_iter().for_each(end);
        let explained = table.explain(&request(policy, ""), now);
        prop_assert!(explained.schedulers.iter().all(|one| one.requests == 0 && one.work_tokens == 0));
    }
}
