//! What each policy guarantees, for any load.

use std::cmp::Ordering;
use std::collections::HashMap;

use hostler_util::stable_hash;
use proptest::prelude::*;

use super::*;

fn candidates(loads: &[(u64, u32)]) -> Vec<Candidate> {
    let candidate = |(slot, &(work_tokens, batch_size_max))| Candidate {
        slot,
        key: mix(slot as u64),
        work_tokens,
        // About 50 tokens each.
        requests: u32::try_from(work_tokens / 50).unwrap_or(u32::MAX),
        batch_size_max,
        turn: 0,
    };
    loads.iter().enumerate().map(candidate).collect()
}

fn chosen(policy: RoutingPolicy, candidates: &[Candidate], input: &PolicyInput<'_>) -> Option<usize> {
    choose(policy, candidates, input).map(|(index, _)| index)
}

const INPUT: PolicyInput<'_> = PolicyInput { random: 0, session: None, matches: &[] };

#[test]
fn no_candidate_gives_none_and_a_single_one_is_always_chosen() {
    for policy in RoutingPolicy::ALL {
        assert_eq!(choose(policy, &[], &INPUT), None);
        assert_eq!(choose(policy, &candidates(&[(9_000, 1)]), &INPUT), Some((0, Reason::OnlyOne)));
    }
}

#[test]
fn work_counts_in_relation_to_the_batch_size() {
    // 100 tokens with a batch size of 8 finish sooner than 50 with a batch size of 1.
    assert_eq!(chosen(RoutingPolicy::LeastLoaded, &candidates(&[(50, 1), (100, 8)]), &INPUT), Some(1));
}

#[test]
fn idle_schedulers_take_turns() {
    let idle = candidates(&[(0, 8), (0, 1), (0, 4)]);
    for policy in
        [RoutingPolicy::LeastLoaded, RoutingPolicy::RoundRobin, RoutingPolicy::PrefixAware, RoutingPolicy::Session]
    {
        let mut all = idle.clone();
        let mut order = Vec::new();
        for turn in 1..=6 {
            let index = chosen(policy, &all, &INPUT).expect("there is a candidate");
            all[index].turn = turn;
            order.push(index);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2], "{policy:?}");
    }
}

#[test]
fn the_longest_prefix_wins_until_its_scheduler_is_overloaded() {
    let mut all = candidates(&[(0, 2), (90, 2), (90, 2)]);
    let matches = [Match { slot: 1, blocks: 3 }, Match { slot: 2, blocks: 5 }];
    let input = PolicyInput { matches: &matches, ..INPUT };
    assert_eq!(choose(RoutingPolicy::PrefixAware, &all, &input), Some((2, Reason::PrefixMatch)));
    (all[2].work_tokens, all[2].requests) = (9_000, 180);
    assert_eq!(choose(RoutingPolicy::PrefixAware, &all, &input), Some((1, Reason::PrefixMatch)), "the next longest");
    (all[1].work_tokens, all[1].requests) = (9_000, 180);
    assert_eq!(choose(RoutingPolicy::PrefixAware, &all, &input), Some((0, Reason::Overloaded)));
}

#[test]
fn a_session_moves_only_when_its_scheduler_leaves_or_is_overloaded() {
    let all = candidates(&[(0, 8); 10]);
    let home = |candidates: &[Candidate], session: u64| {
        let input = PolicyInput { session: Some(stable_hash(format!("session {session}").as_bytes())), ..INPUT };
        candidates[chosen(RoutingPolicy::Session, candidates, &input).expect("there is a candidate")].slot
    };
    let before: HashMap<u64, usize> = (0..1_000).map(|session| (session, home(&all, session))).collect();
    let mut shares = [0; 10];
    before.values().for_each(|&slot| shares[slot] += 1);
    assert!(shares.iter().all(|share| (50..200).contains(share)), "{shares:?}");

    let without_three: Vec<Candidate> = all.iter().filter(|candidate| candidate.slot != 3).copied().collect();
    for (&session, &slot) in &before {
        let now = home(&without_three, session);
        assert!(now == slot || slot == 3, "session {session} moved from {slot} to {now}");
    }
    let mut hot = all;
    (hot[3].work_tokens, hot[3].requests) = (100_000, 2_000);
    for (&session, &slot) in &before {
        assert_eq!(home(&hot, session) == slot, slot != 3);
    }
}

proptest! {
    #[test]
    fn the_least_loaded_is_never_more_loaded_than_another(
        loads in prop::collection::vec((0u64..1000, 1u32..16), 1..8),
    ) {
        let all = candidates(&loads);
        let index = chosen(RoutingPolicy::LeastLoaded, &all, &INPUT).expect("there is a candidate");
        for other in &all {
            prop_assert_ne!(all[index].compare_load(other), Ordering::Greater);
        }
    }

    #[test]
    fn power_of_two_never_takes_the_most_loaded(
        loads in prop::collection::btree_set(0u64..1000, 2..8), random in any::<u64>(),
    ) {
        let loads: Vec<(u64, u32)> = loads.into_iter().map(|load| (load, 4)).collect();
        let index = chosen(RoutingPolicy::PowerOfTwo, &candidates(&loads), &PolicyInput { random, ..INPUT });
        prop_assert_ne!(index, Some(loads.len() - 1), "loads are in order");
    }

    #[test]
    fn round_robin_is_even(count in 1usize..8, rounds in 1usize..5) {
        let mut all = candidates(&vec![(7, 2); count]);
        let mut served = vec![0; count];
        for turn in 1..=count * rounds {
            let index = chosen(RoutingPolicy::RoundRobin, &all, &INPUT).expect("there is a candidate");
            served[index] += 1;
            all[index].turn = turn as u64;
        }
        prop_assert!(served.iter().all(|&times| times == rounds));
    }

    #[test]
    fn affinity_never_takes_a_scheduler_with_a_queue_far_above_the_average(
        loads in prop::collection::vec((0u64..5000, 1u32..16), 2..8),
        favourite in any::<prop::sample::Index>(), session in any::<u64>(),
    ) {
        let all = candidates(&loads);
        let matches = [Match { slot: favourite.index(loads.len()), blocks: 9 }];
        for policy in [RoutingPolicy::PrefixAware, RoutingPolicy::Session] {
            let input = PolicyInput { session: Some(session), matches: &matches, ..INPUT };
            let index = chosen(policy, &all, &input).expect("there is a candidate");
            prop_assert!(Total::of(&all).leaves_room(&all[index]), "{:?}", policy);
        }
    }

    #[test]
    fn every_choice_is_in_range(random in any::<u64>(), count in 1usize..50) {
        let all = candidates(&vec![(1, 1); count]);
        for policy in RoutingPolicy::ALL {
            let index = chosen(policy, &all, &PolicyInput { random, session: Some(random), matches: &[] });
            prop_assert!(index.is_some_and(|index| index < count));
        }
    }
}
