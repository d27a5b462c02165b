//! Which requests start together, and when, for each kind of engine.

use std::time::{Duration, Instant};

use hostler_protocol::{Batching, Driving, ModelDescription, Prefill, Priority, RequestId};
use hostler_scheduler::SchedulerConfig;
use hostler_scheduler::state::{Demand, Effect, SchedulingState, Ticket};
use hostler_testkit::model_description;

fn state(batching: Batching) -> SchedulingState {
    let config = SchedulerConfig::new("batching", "batching");
    let driving = Driving { max_sequences: 4, batching, prefill: Prefill::Blocking };
    let description = ModelDescription { driving, ..model_description("batching") };
    SchedulingState::new(&config, &description)
}

fn submit(state: &mut SchedulingState, now: Instant, ticket: u64, prompt_tokens: u32) -> Vec<Ticket> {
    let demand = Demand {
        ticket: Ticket(ticket),
        id: RequestId::new(),
        tenant: "tenant".into(),
        class: Priority::Default,
        prompt_tokens,
        answer_tokens_max: 50,
        deadline: None,
        fingerprint: ticket,
        claim: None,
    };
    started(state.submit(now, demand).expect("there is room"))
}

fn started(effects: Vec<Effect>) -> Vec<Ticket> {
    let started = effects.into_iter().filter_map(|effect| match effect {
        Effect::Start(ticket) => Some(ticket),
        _ => None,
    });
    started.collect()
}

fn tickets(numbers: &[u64]) -> Vec<Ticket> {
    numbers.iter().copied().map(Ticket).collect()
}

#[test]
fn a_cohort_has_similar_lengths_and_the_next_one_waits_until_it_has_drained() {
    let mut state = state(Batching::EqualLength);
    let now = Instant::now();
    for (ticket, prompt_tokens) in [(0, 20), (1, 100), (2, 18), (3, 20)] {
        let at_once = submit(&mut state, now, ticket, prompt_tokens);
        // The fourth fills the batch, so the cohort does not wait for more.
        assert_eq!(at_once, if ticket == 3 { tickets(&[2, 0, 3]) } else { Vec::new() });
    }
    assert!(started(state.ended(now, Ticket(0), 50, false)).is_empty(), "the slot stays free");
    assert!(started(state.ended(now, Ticket(2), 50, false)).is_empty());
    assert!(
        started(state.ended(now, Ticket(3), 50, false)).is_empty(),
        "a request that arrives within the gather time can join"
    );
    let gathered = state.next_wake().expect("it waits for more requests");
    assert_eq!(started(state.tick(gathered)), tickets(&[1]));
}

#[test]
fn a_free_slot_is_held_for_at_most_the_cohort_wait() {
    let mut state = state(Batching::EqualLength);
    let now = Instant::now();
    for ticket in 0..4 {
        submit(&mut state, now, ticket, 20);
    }
    assert_eq!(state.running(), 4);
    submit(&mut state, now, 4, 30);
    assert!(started(state.ended(now, Ticket(0), 50, false)).is_empty());
    let wait = SchedulerConfig::new("", "").batching.cohort_wait;
    let almost = now + wait - Duration::from_millis(1);
    assert!(started(state.tick(almost)).is_empty());
    assert_eq!(state.next_wake(), Some(now + wait));
    assert_eq!(started(state.tick(now + wait)), tickets(&[4]));
}

#[test]
fn long_prompts_wait_for_an_idle_engine_and_then_share_one_stall() {
    let mut state = state(Batching::Ragged);
    let now = Instant::now();
    assert_eq!(submit(&mut state, now, 0, 20), tickets(&[0]));
    let now = now + Duration::from_millis(1);
    assert!(submit(&mut state, now, 1, 1500).is_empty(), "it would stall the first");
    assert_eq!(submit(&mut state, now, 2, 20), tickets(&[2]), "short ones overtake it");
    let later = now + Duration::from_secs(1);
    assert!(submit(&mut state, later, 3, 600).is_empty());
    let due = state.next_wake().expect("a wake-up for the long one");
    assert_eq!(due, now + SchedulerConfig::new("", "").batching.long_prompt_wait);
    assert_eq!(started(state.tick(due)), tickets(&[1, 3]), "both at once");
}
