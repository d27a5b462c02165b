//! A board decides as a look at all schedulers does.

use hostler_protocol::{Constraint, GenerationRequest, ModelDescription, Prompt, RequestId, SchedulerId};
use hostler_scheduler::{Abilities, Needs, SchedulerState};
use proptest::prelude::*;

use super::*;
use crate::decision::breaker::BreakerState;
use crate::policy::{Match, mix};

/// What a step of a random history does to a scheduler.
#[derive(Clone, Debug)]
struct Change {
    slot: usize,
    present: bool,
    state: usize,
    admits: bool,
    share: u32,
    work_tokens: u64,
    batch_size_max: u32,
    capable: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let share = prop_oneof![3 => Just(FULL_SHARE), 1 => 0u32..FULL_SHARE];
    let state = prop_oneof![3 => Just(1usize), 1 => 0usize..6];
    let admits = prop::bool::weighted(0.8);
    (0usize..20, prop::bool::weighted(0.9), state, admits, share, 0u64..500, 1u32..9, prop::bool::weighted(0.8))
        .prop_map(|(slot, present, state, admits, share, work_tokens, batch_size_max, capable)| Change {
            slot,
            present,
            state,
            admits,
            share,
            work_tokens,
            batch_size_max,
            capable,
        })
}

fn view(change: &Change, turn: u64) -> SchedulerView {
    let mut model: ModelDescription = hostler_testkit::model_description("m");
    model.capabilities.constraints = change.capable;
    SchedulerView {
        id: SchedulerId::from(format!("s-{}", change.slot)),
        state: SchedulerState::ALL[change.state],
        claim: None,
        breaker: if change.admits { BreakerState::Closed } else { BreakerState::Open },
        admits: change.admits,
        failing: 0,
        share: change.share,
        abilities: Some(Abilities::of(&model)),
        candidate: Candidate {
            slot: change.slot,
            key: mix(change.slot as u64),
            turn,
            work_tokens: change.work_tokens,
            requests: u32::try_from(change.work_tokens / 50).unwrap_or(u32::MAX),
            batch_size_max: change.batch_size_max,
        },
    }
}

fn request(is_constrained: bool) -> RouteRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Tokens(vec![1]));
    request.constraint = is_constrained.then(|| Constraint::Regex("a".to_owned()));
    RouteRequest {
        id: RequestId::new(),
        model: "m".into(),
        claim: None,
        needs: Needs::of_generation(&request),
        work_tokens: 0,
        refused: Vec::new(),
        session: None,
        blocks: Vec::new(),
    }
}

proptest! {
    #[test]
    fn it_decides_as_a_look_at_all_schedulers_does(
        changes in prop::collection::vec(change(), 1..60),
        policy in prop::sample::select(&RoutingPolicy::ALL[..]),
        is_constrained in any::<bool>(), random in any::<u64>(), matched in prop::option::of(0usize..20),
    ) {
        let mut board = Board::new(&[policy]);
        let request = request(is_constrained);
        for change in changes {
            let turn = board.next_turn();
            board.set(change.slot, change.present.then(|| view(&change, turn)));
            let matches: Vec<Match> = matched.iter().map(|&slot| Match { slot, blocks: 3 }).collect();
            let input = PolicyInput { random, session: Some(random), matches: &matches };
            let all = board.views();
            match (board.choose(policy, &request, &input), choose_scheduler(policy, &all, &request, &input)) {
                (Ok((slot, reason)), Ok((expected, _))) => {
                    let chosen = board.view(slot).expect("it has a scheduler");
                    let is_able = |view: &SchedulerView| {
                        view.state == SchedulerState::Serving && view.is_capable(&request)
                    };
                    prop_assert_eq!(reason == Reason::MostCapable, !all.iter().any(|view| view.is_capable(&request)));
                    prop_assert!(is_able(chosen) || reason == Reason::MostCapable);
                    prop_assert!(chosen.admits || !all.iter().any(|view| is_able(view) && view.admits));
                    // The others depend on the order of the candidates or on the average load.
                    if matches!(policy, RoutingPolicy::LeastLoaded | RoutingPolicy::RoundRobin) {
                        prop_assert_eq!(slot, expected);
                    }
                }
                (Err(error), Err(expected)) => prop_assert_eq!(error, expected),
                (board, all) => prop_assert!(false, "{board:?} instead of {all:?}"),
            }
        }
    }
}
