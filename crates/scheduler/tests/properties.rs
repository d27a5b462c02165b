//! Invariants of the pure state under random sequences of events.

mod model;

use std::time::Duration;

use hostler_protocol::{Batching, ClaimDrain, Driving, Prefill, Priority};
use hostler_scheduler::state::work;
use model::{Ask, CONTEXT, Model, SLOTS};
use proptest::prelude::*;

/// An event at a scheduler.
#[derive(Clone, Debug)]
enum Event {
    Submit(Ask),
    /// The engine ends its n-th sequence after this share of the tokens.
    End {
        which: usize,
        share: f64,
        failed: bool,
    },
    /// The n-th request is cancelled.
    Cancel {
        which: usize,
    },
    /// Time passes.
    Wait(Duration),
    Drain,
    Resume,
    Claim(ClaimDrain),
    Heartbeat,
    Release,
    EngineDies,
}

fn ask() -> impl Strategy<Value = Ask> {
    let deadline = prop_oneof![4 => Just(None), 1 => (0_u64..500).prop_map(|ms| Some(Duration::from_millis(ms)))];
    (0_u8..4, 0_usize..3, 0..CONTEXT + 50, 1..CONTEXT, deadline, any::<bool>()).prop_map(
        |(tenant, class, prompt_tokens, answer_tokens_max, deadline, claimed)| Ask {
            tenant,
            class: Priority::ALL[class],
            prompt_tokens,
            answer_tokens_max,
            deadline,
            claimed,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let drain = prop_oneof![Just(ClaimDrain::Wait), Just(ClaimDrain::Evict), Just(ClaimDrain::Fail)];
    prop_oneof![
        12 => ask().prop_map(Event::Submit),
        8 => (any::<usize>(), 0.0..=1.0, prop::bool::weighted(0.1))
            .prop_map(|(which, share, failed)| Event::End { which, share, failed }),
        3 => any::<usize>().prop_map(|which| Event::Cancel { which }),
        4 => (0_u64..400).prop_map(|ms| Event::Wait(Duration::from_millis(ms))),
        1 => Just(Event::Drain),
        2 => Just(Event::Resume),
        1 => drain.prop_map(Event::Claim),
        1 => Just(Event::Heartbeat),
        1 => Just(Event::Release),
    ]
}

fn driving() -> impl Strategy<Value = Driving> {
    let batching = prop_oneof![Just(Batching::Ragged), Just(Batching::EqualLength)];
    let prefill = prop_oneof![Just(Prefill::Blocking), Just(Prefill::Chunked { tokens: 64 })];
    (1..=SLOTS, batching, prefill).prop_map(|(max_sequences, batching, prefill)| Driving {
        max_sequences,
        batching,
        prefill,
    })
}

fn apply(model: &mut Model, event: Event) {
    match event {
        Event::Submit(ask) => model.submit(&ask),
        Event::End { which, share, failed } => model.end(which, share, failed),
        Event::Cancel { which } => model.cancel(which),
        Event::Wait(time) => model.wait(time),
        Event::Drain => model.drain(),
        Event::Resume => model.resume(),
        Event::Claim(drain) => model.claim(drain),
        Event::Heartbeat => model.heartbeat(),
        Event::Release => model.release(),
        Event::EngineDies => model.engine_dies(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No request is lost or answered twice, the limits hold after every event (the model
    /// checks both), and at the end nothing is left.
    #[test]
    fn every_request_ends_once_and_every_limit_holds(
        driving in driving(),
        events in prop::collection::vec(event(), 1..120),
        dies in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut model = Model::new(driving);
        let dies = dies.map(|index| index.index(events.len()));
        for (number, next) in events.into_iter().enumerate() {
            if dies == Some(number) {
                apply(&mut model, Event::EngineDies);
            }
            apply(&mut model, next);
        }
        model.finish_all();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// While requests of a class are queued, other classes start at most
    /// `passed_over_max + 1` requests between two of its own.
    #[test]
    fn no_class_starves(asks in prop::collection::vec(ask(), 30..200)) {
        let driving = Driving { max_sequences: 2, batching: Batching::Ragged, prefill: Prefill::Chunked { tokens: 64 } };
        let mut model = Model::new(driving);
        let bound = |class| match class {
            Priority::Interactive => u32::MAX,
            Priority::Default => model::DEFAULT_PASSED_OVER_MAX + 1,
            Priority::Batch => model::BATCH_PASSED_OVER_MAX + 1,
        };
        for ask in asks {
            // There is always another interactive request.
            model.submit(&Ask { class: Priority::Interactive, deadline: None, claimed: false, ..ask.clone() });
            model.submit(&Ask { deadline: None, claimed: false, ..ask });
            if model.waiting() > 40 {
                model.end(0, 1.0, false);
            }
        }
        while model.running() > 0 {
            model.end(0, 1.0, false);
        }
        for class in Priority::ALL {
            let longest = model.longest_passed_over(class);
            prop_assert!(longest <= bound(class), "{class:?} was passed over {longest} times");
        }
    }

    /// Tenants that always have requests queued are served the same work, up to the credit
    /// of a returning tenant, one request, and the refunds.
    #[test]
    fn tenants_share_the_work(
        sizes in prop::collection::vec((1_u32..100, 1_u32..100, 0.0..=1.0), 200..400),
    ) {
        let driving = Driving { max_sequences: 4, batching: Batching::Ragged, prefill: Prefill::Chunked { tokens: 64 } };
        let mut model = Model::new(driving);
        let largest = work(100, 100);
        for (number, (prompt_tokens, answer_tokens_max, share)) in sizes.into_iter().enumerate() {
            // The first tenant sends four times as many requests as the second.
            for tenant in [0, 0, 0, 0, 1] {
                let class = Priority::Default;
                model.submit(&Ask { tenant, class, prompt_tokens, answer_tokens_max, deadline: None, claimed: false });
            }
            model.end(number, share, false);
            if let Some((one, other)) = model.served_while_both_waited(0, 1) {
                let slots = u64::from(SLOTS);
                prop_assert!(one.abs_diff(other) <= slots * work(0, 256) + (1 + slots) * largest, "{one} and {other} at event {number}");
            }
        }
    }
}
