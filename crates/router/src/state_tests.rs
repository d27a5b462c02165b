//! Who can be chosen, and what is said when nobody can.

use hostler_protocol::ErrorCode;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const PLAIN: Circumstances = Circumstances { last: None, random: 0, session: None };

fn view(id: &SchedulerId, slot: usize, state: SchedulerState, work_tokens: u64) -> View<'_> {
    let candidate =
        Candidate { slot, key: slot as u64, work_tokens, requests: 0, batch_size_max: 8, matched_blocks: 0 };
    View { id, state, claim: None, admitted: true, share: FULL_SHARE, candidate }
}

fn wanted<'a>(model: &'a ModelId, refused: &'a [SchedulerId]) -> Wanted<'a> {
    Wanted { model, claim: None, refused }
}

#[test]
fn only_serving_schedulers_that_have_not_refused_are_chosen() {
    let ids: [SchedulerId; 3] = ["busy".into(), "draining".into(), "idle".into()];
    let views = [
        view(&ids[0], 4, SchedulerState::Serving, 90),
        view(&ids[1], 5, SchedulerState::Draining, 0),
        view(&ids[2], 6, SchedulerState::Serving, 10),
    ];
    let model = "a".into();
    let route = |refused: &[SchedulerId]| route(Policy::LeastLoaded, &views, wanted(&model, refused), PLAIN);
    assert_eq!(route(&[]), Ok((2, Reason::LeastLoaded)));
    assert_eq!(route(&["idle".into()]), Ok((0, Reason::OnlyOne)));
    let nobody = route(&["idle".into(), "busy".into()]).expect_err("both refused");
    assert_eq!(nobody.code, ErrorCode::Unavailable);
}

#[test]
fn a_request_under_a_claim_goes_where_the_claim_is_and_nowhere_else() {
    let (held, ended) = (Some(FencingToken(7)), Some(FencingToken(6)));
    let ids: [SchedulerId; 2] = ["free".into(), "claimed".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 0), view(&ids[1], 1, SchedulerState::Claimed, 9)];
    views[1].claim = held;
    let model = "a".into();
    let route = |claim| route(Policy::LeastLoaded, &views, Wanted { model: &model, claim, refused: &[] }, PLAIN);
    assert_eq!(route(held), Ok((1, Reason::OnlyOne)));
    assert_eq!(route(None), Ok((0, Reason::OnlyOne)));
    assert_eq!(route(ended).expect_err("it has ended").code, ErrorCode::Unavailable);
}

#[test]
fn one_whose_breaker_is_open_is_left_alone_and_named_so() {
    let ids: [SchedulerId; 2] = ["broken".into(), "well".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 0), view(&ids[1], 1, SchedulerState::Serving, 9)];
    views[0].admitted = false;
    let model = "a".into();
    assert_eq!(route(Policy::LeastLoaded, &views, wanted(&model, &[]), PLAIN), Ok((1, Reason::OnlyOne)));
    let error = route(Policy::LeastLoaded, &views[..1], wanted(&model, &[]), PLAIN).expect_err("it is left alone");
    assert!(error.message.contains("broken is left alone after failures"), "{}", error.message);
}

#[test]
fn a_thousand_schedulers_are_not_all_named() {
    let ids: Vec<SchedulerId> = (0..1000).map(|index| format!("s-{index}").into()).collect();
    let views: Vec<View<'_>> = ids.iter().map(|id| view(id, 0, SchedulerState::Failed, 0)).collect();
    let error = route(Policy::LeastLoaded, &views, wanted(&"a".into(), &[]), PLAIN).expect_err("nobody serves");
    assert!(error.message.ends_with("and 992 more"), "{}", error.message);
}

#[rstest]
#[case(SchedulerState::Starting)]
#[case(SchedulerState::Draining)]
#[case(SchedulerState::Claimed)]
#[case(SchedulerState::Failed)]
#[case(SchedulerState::Stopped)]
fn a_scheduler_that_does_not_serve_is_named_with_its_state(#[case] state: SchedulerState) {
    let id = "s".into();
    let views = [view(&id, 0, state, 0)];
    let error = route(Policy::LeastLoaded, &views, wanted(&"a".into(), &[]), PLAIN).expect_err("nobody serves");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.retry_after.is_some());
    assert!(error.message.contains(&format!("s is {}", state.as_str())), "{}", error.message);
}

#[test]
fn a_newcomer_gets_its_share_and_everything_where_there_is_nobody_else() {
    let ids: [SchedulerId; 2] = ["old".into(), "new".into()];
    let mut views = [view(&ids[0], 0, SchedulerState::Serving, 1_000), view(&ids[1], 1, SchedulerState::Serving, 0)];
    views[1].share = 100;
    let model = "a".into();
    let chosen = |views: &[View<'_>], random| {
        let given = Circumstances { random, ..PLAIN };
        route(Policy::LeastLoaded, views, wanted(&model, &[]), given).expect("somebody serves").0
    };
    let times = (0..10_000).filter(|&random| chosen(&views, random) == 1).count();
    assert!((800..1_200).contains(&times), "{times} of 10,000, though it is the idle one");
    views[0].state = SchedulerState::Draining;
    assert!((0..100).all(|random| chosen(&views, random) == 1));
}

proptest! {
    #[test]
    fn whoever_is_chosen_could_be_and_somebody_is_whenever_somebody_can(
        all in prop::collection::vec((0usize..6, any::<bool>(), 0u32..=FULL_SHARE, 0u64..100, any::<bool>()), 0..8),
        random in any::<u64>(), policy in prop::sample::select(&Policy::ALL[..]),
    ) {
        let ids: Vec<SchedulerId> = (0..all.len()).map(|index| format!("s-{index}").into()).collect();
        let mut refused = Vec::new();
        let mut views = Vec::new();
        for (slot, &(state, admitted, share, work, refuses)) in all.iter().enumerate() {
            let view = view(&ids[slot], slot, SchedulerState::ALL[state], work);
            views.push(View { admitted, share, ..view });
            if refuses {
                refused.push(ids[slot].clone());
            }
        }
        let can = |view: &View<'_>| {
            view.state == SchedulerState::Serving && view.admitted && !refused.contains(view.id)
        };
        let model = "m".into();
        match route(policy, &views, wanted(&model, &refused), Circumstances { random, ..PLAIN }) {
            Ok((index, _)) => prop_assert!(can(&views[index])),
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::Unavailable);
                // Only newcomers, none of which drew its lot, are still somebody.
                prop_assert!(!views.iter().any(can));
            }
        }
    }
}
