//! The slots match the contents of the cache after any sequence of events.

use proptest::prelude::*;

use super::*;

const REUSE: ReusePolicy = ReusePolicy::SharedPrefix { copy_saves_min: 4 };

/// A model of llama.cpp's cache, and the slots that must match it.
struct Cache {
    slots: Slots,
    held: Vec<Vec<TokenId>>,
}

impl Cache {
    fn new(count: usize, policy: ReusePolicy) -> Self {
        Self { slots: Slots::new(count, policy), held: vec![Vec::new(); count] }
    }

    /// Places a sequence and feeds all its tokens.
    fn run(&mut self, tokens: &[TokenId]) -> Option<Placement> {
        self.run_in(&CacheScope::default(), tokens)
    }

    /// The same in a scope.
    fn run_in(&mut self, scope: &CacheScope, tokens: &[TokenId]) -> Option<Placement> {
        let placement = self.slots.place(tokens, scope)?;
        if let Some(source) = placement.copy_from {
            self.held[placement.slot] = self.held[source].clone();
        }
        self.held[placement.slot].truncate(placement.keep);
        let rest = &tokens[placement.keep..];
        self.held[placement.slot].extend_from_slice(rest);
        self.slots.fed(placement.slot, rest);
        Some(placement)
    }
}

#[test]
fn the_slot_of_an_ended_sequence_is_reused_and_the_least_recently_used_is_evicted() {
    let mut cache = Cache::new(2, REUSE);
    let first = cache.run(&[1, 2, 3, 4]).expect("a slot is free");
    let second = cache.run(&[9, 8, 7]).expect("a slot is free");
    assert_eq!((first.slot, first.keep, second.slot, second.keep), (0, 0, 1, 0));
    assert_eq!(cache.run(&[5]), None);

    cache.slots.release(first.slot);
    cache.slots.release(second.slot);
    let longer = cache.run(&[1, 2, 3, 4, 5, 6]).expect("a slot is free");
    assert_eq!(longer, Placement { slot: 0, copy_from: None, keep: 4 });
    cache.slots.release(longer.slot);
    let other = cache.run(&[5, 5]).expect("a slot is free");
    assert_eq!((other.slot, other.keep), (1, 0));
}

#[test]
fn a_sequence_of_another_scope_shares_nothing() {
    let alice = CacheScope { tenant: Some("alice".into()), salt: None };
    let bob = CacheScope { tenant: Some("bob".into()), salt: None };
    let mut cache = Cache::new(2, REUSE);
    let first = cache.run_in(&alice, &[1, 2, 3, 4, 5, 6]).expect("a slot is free");
    // Neither copied from the busy slot, nor reused when it is free.
    let other = cache.run_in(&bob, &[1, 2, 3, 4, 5, 6]).expect("a slot is free");
    assert_eq!((other.copy_from, other.keep), (None, 0));
    cache.slots.release(first.slot);
    cache.slots.release(other.slot);
    let stranger = cache.run_in(&CacheScope::default(), &[1, 2, 3, 4, 5, 6]).expect("a slot is free");
    assert_eq!((stranger.slot, stranger.keep), (first.slot, 0));
    let again = cache.run_in(&bob, &[1, 2, 3, 4, 5, 6]).expect("a slot is free");
    assert_eq!((again.slot, again.keep), (other.slot, 5));
}

#[test]
fn the_last_token_is_always_fed() {
    let mut cache = Cache::new(1, REUSE);
    let first = cache.run(&[1, 2, 3]).expect("a slot is free");
    cache.slots.release(first.slot);
    assert_eq!(cache.run(&[1, 2, 3]).map(|placement| placement.keep), Some(2));
}

#[test]
fn a_long_prefix_is_copied_from_a_busy_slot_and_a_short_one_is_not() {
    let mut cache = Cache::new(2, REUSE);
    cache.run(&[1, 2, 3, 4, 5]).expect("a slot is free");
    let copied = cache.run(&[1, 2, 3, 4, 6]).expect("a slot is free");
    assert_eq!(copied, Placement { slot: 1, copy_from: Some(0), keep: 4 });

    cache.slots.release(copied.slot);
    let fresh = cache.run(&[1, 2, 3, 9]).expect("a slot is free");
    assert_eq!(fresh, Placement { slot: 1, copy_from: None, keep: 3 });
}

#[test]
fn a_long_answer_is_not_evicted_for_a_short_prefix() {
    let mut cache = Cache::new(2, REUSE);
    let long = cache.run(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).expect("a slot is free");
    let idle = cache.run(&[20]).expect("a slot is free");
    cache.slots.release(long.slot);
    cache.slots.release(idle.slot);
    // The slot with the long answer is reused, although it is the older one.
    let again = cache.run(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).expect("a slot is free");
    cache.slots.release(again.slot);
    let branch = cache.run(&[1, 2, 3, 4, 30]).expect("a slot is free");
    assert_eq!(branch, Placement { slot: idle.slot, copy_from: Some(long.slot), keep: 4 });
}

#[test]
fn a_model_that_cannot_truncate_reuses_nothing() {
    let mut cache = Cache::new(1, ReusePolicy::Never);
    for _ in 0..2 {
        let placement = cache.run(&[1, 2, 3]).expect("a slot is free");
        assert_eq!(placement.keep, 0);
        cache.slots.release(placement.slot);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Start(Vec<TokenId>),
    Generate(usize, TokenId),
    End(usize),
}

fn any_event() -> impl Strategy<Value = Event> {
    // Only two token values, so that prefixes are shared.
    let tokens = proptest::collection::vec(0_u32..2, 1..12);
    prop_oneof![
        tokens.prop_map(Event::Start),
        (0_usize..4, 0_u32..2).prop_map(|(slot, token)| Event::Generate(slot, token)),
        (0_usize..4).prop_map(Event::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_slots_match_the_cache(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut cache = Cache::new(4, REUSE);
        let mut running: Vec<Option<Vec<TokenId>>> = vec![None; 4];
        for event in events {
            match event {
                Event::Start(tokens) => {
                    let had_room = running.iter().any(Option::is_none);
                    prop_assert_eq!(cache.slots.has_room(), had_room);
                    let placement = cache.run(&tokens);
                    prop_assert_eq!(placement.is_some(), had_room);
                    if let Some(placement) = placement {
                        prop_assert!(placement.keep < tokens.len());
                        prop_assert!(running[placement.slot].is_none(), "a busy slot was assigned");
                        running[placement.slot] = Some(tokens);
                    }
                }
                Event::Generate(slot, token) => {
                    if let Some(tokens) = &mut running[slot] {
                        tokens.push(token);
                        cache.held[slot].push(token);
                        cache.slots.fed(slot, &[token]);
                    }
                }
                Event::End(slot) => {
                    if running[slot].take().is_some() {
                        cache.slots.release(slot);
                    }
                }
            }
            for (slot, tokens) in running.iter().enumerate() {
                prop_assert_eq!(&cache.slots.slots[slot].tokens, &cache.held[slot]);
                if let Some(tokens) = tokens {
                    prop_assert_eq!(&cache.held[slot], tokens, "a sequence uses keys and values of another");
                }
            }
        }
    }
}
