//! Which schedulers can be chosen, and the errors when none can.

use hostler_protocol::{ErrorCode, ModelId, RequestId};
use proptest::prelude::*;
use rstest::rstest;

use hostler_scheduler::Needs;

use super::*;
use crate::policy::mix;

const INPUT: PolicyInput<'_> = PolicyInput { random: 0, session: None, matches: &[] };

pub(crate) fn view(id: &SchedulerId, slot: usize, state: SchedulerState, work_tokens: u64) -> SchedulerView {
    let candidate = Candidate { slot, key: mix(slot as u64), work_tokens, requests: 0, batch_size_max: 8, turn: 0 };
    SchedulerView {
        id: id.clone(),
        state,
        claim: None,
        breaker: BreakerState::Closed,
        admits: true,
        failing: 0,
        share: FULL_SHARE,
        abilities: None,
        candidate,
    }
}

pub(crate) fn request(refused: &[SchedulerId]) -> RouteRequest {
    RouteRequest {
        id: RequestId::new(),
        model: ModelId::from("m"),
        claim: None,
        needs: Needs::default(),
        work_tokens: 0,
        refused: refused.to_vec(),
        session: None,
        blocks: Vec::new(),
    }
}

/// The decision of the policy `least_loaded`.
fn least_loaded(views: &[SchedulerView], request: &RouteRequest) -> Result<(usize, Reason), RequestError> {
    choose_scheduler(RoutingPolicy::LeastLoaded, &views.iter().collect::<Vec<_>>(), request, &INPUT)
}

#[test]
fn only_serving_schedulers_that_have_not_refused_are_chosen() {
    let ids: [SchedulerId; 3] = ["busy".into(), "draining".into(), "idle".into()];
    let views = [
        view(&ids[0], 0, SchedulerState::Serving, 90),
        view(&ids[1], 1, SchedulerState::Draining, 0),
        view(&ids[2], 2, SchedulerState::Serving, 10),
    ];
    assert_eq!(least_loaded(&views, &request(&[])), Ok((2, Reason::LeastLoaded)));
    assert_eq!(least_loaded(&views, &request(&["idle".into()])), Ok((0, Reason::OnlyOne)));
    let error = least_loaded(&views, &request(&["idle".into(), "busy".into()])).expect_err("both refused");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[test]
fn a_request_under_a_claim_goes_only_to_the_claimed_scheduler() {
    let (held, ended) = (Some(FencingToken(7)), Some(FencingToken(6)));
    let ids: [SchedulerId; 2] = ["free".into(), "claimed".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 0), view(&ids[1], 1, SchedulerState::Claimed, 9)];
    views[1].claim = held;
    let choose = |claim| least_loaded(&views, &RouteRequest { claim, ..request(&[]) });
    assert_eq!(choose(held), Ok((1, Reason::OnlyOne)));
    assert_eq!(choose(None), Ok((0, Reason::OnlyOne)));
    assert_eq!(choose(ended).expect_err("it has ended").code, ErrorCode::Unavailable);
}

#[test]
fn a_scheduler_with_an_open_breaker_is_chosen_only_if_all_are_open_and_it_fails_least() {
    let ids: [SchedulerId; 2] = ["broken".into(), "well".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 0), view(&ids[1], 1, SchedulerState::Serving, 9)];
    views[0].admits = false;
    assert_eq!(least_loaded(&views, &request(&[])), Ok((1, Reason::OnlyOne)));
    views[1].admits = false;
    (views[0].failing, views[1].failing) = (500, 400);
    assert_eq!(least_loaded(&views, &request(&[])), Ok((1, Reason::LeastFailing)));
    views[0].failing = 400;
    assert_eq!(least_loaded(&views, &request(&[])), Ok((0, Reason::LeastFailing)), "of equals, the policy's");
    assert_eq!(least_loaded(&views, &request(&["broken".into()])), Ok((1, Reason::LeastFailing)));
    assert!(least_loaded(&views, &request(&["broken".into(), "well".into()])).is_err());
}

#[test]
fn an_error_lists_only_the_first_of_a_thousand_schedulers() {
    let ids: Vec<SchedulerId> = (0..1000).map(|index| format!("s-{index}").into()).collect();
    let views: Vec<SchedulerView> = ids.iter().map(|id| view(id, 0, SchedulerState::Failed, 0)).collect();
    let error = least_loaded(&views, &request(&[])).expect_err("no scheduler is serving");
    assert!(error.message.ends_with("and 992 more"), "{}", error.message);
}

#[rstest]
#[case(SchedulerState::Starting)]
#[case(SchedulerState::Draining)]
#[case(SchedulerState::Claimed)]
#[case(SchedulerState::Failed)]
#[case(SchedulerState::Stopped)]
fn an_error_says_the_state_of_a_scheduler_that_is_not_serving(#[case] state: SchedulerState) {
    let id = "s".into();
    let error = least_loaded(&[view(&id, 0, state, 0)], &request(&[])).expect_err("no scheduler is serving");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.retry_after.is_some());
    assert!(error.message.contains(&format!("s is {}", state.as_str())), "{}", error.message);
}

#[test]
fn a_newcomer_gets_its_share_and_everything_when_it_is_the_only_one() {
    let ids: [SchedulerId; 2] = ["old".into(), "new".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 1_000), view(&ids[1], 1, SchedulerState::Serving, 0)];
    views[1].share = 100;
    let chosen = |views: &[SchedulerView], random| {
        let (input, views) = (PolicyInput { random, ..INPUT }, views.iter().collect::<Vec<_>>());
        choose_scheduler(RoutingPolicy::LeastLoaded, &views, &request(&[]), &input).expect("a scheduler is serving").0
    };
    let times = (0..10_000).filter(|&random| chosen(&views, random) == 1).count();
    assert!((800..1_200).contains(&times), "{times} of 10,000, although it is idle");
    views[0].state = SchedulerState::Draining;
    assert!((0..100).all(|random| chosen(&views, random) == 1));
}

proptest! {
    #[test]
    fn the_chosen_scheduler_is_able_and_one_is_chosen_whenever_one_is_able(
        all in prop::collection::vec((0usize..6, any::<bool>(), 0u32..=FULL_SHARE, 0u64..100, any::<bool>()), 0..8),
        random in any::<u64>(), policy in prop::sample::select(&RoutingPolicy::ALL[..]),
    ) {
        let ids: Vec<SchedulerId> = (0..all.len()).map(|index| format!("s-{index}").into()).collect();
        let mut refused = Vec::new();
        let mut views = Vec::new();
        for (slot, &(state, admits, share, work, refuses)) in all.iter().enumerate() {
            let view = view(&ids[slot], slot, SchedulerState::ALL[state], work);
            views.push(SchedulerView { admits, share, ..view });
            if refuses {
                refused.push(ids[slot].clone());
            }
        }
        let is_able = |view: &SchedulerView| view.state == SchedulerState::Serving && !refused.contains(&view.id);
        let all: Vec<&SchedulerView> = views.iter().collect();
        match choose_scheduler(policy, &all, &request(&refused), &PolicyInput { random, ..INPUT }) {
            Ok((index, reason)) => {
                prop_assert!(is_able(&views[index]));
                let is_any_closed = views.iter().any(|view| is_able(view) && view.admits);
                prop_assert_eq!(views[index].admits, is_any_closed);
                prop_assert_eq!(reason == Reason::LeastFailing, !is_any_closed);
            }
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::Unavailable);
                // This also covers newcomers: if there are no others, one of them is chosen.
                prop_assert!(!views.iter().any(is_able));
            }
        }
    }
}
