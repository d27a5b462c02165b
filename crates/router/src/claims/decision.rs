//! Which scheduler a claim may have: a pure function of what is known of them.

use std::collections::HashSet;

use hostler_protocol::{ErrorCode, ModelId, RequestError, SchedulerId};
use hostler_scheduler::{Scheduler, SchedulerState};

use super::ClaimSelector;
use crate::policy::{Candidate, Circumstances, Policy, choose as choose_by_load};

/// What is known of one scheduler when a claim is decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimable {
    /// Its name.
    pub(super) id: SchedulerId,
    /// The model that it serves.
    pub(super) model: ModelId,
    /// What it does.
    pub(super) state: SchedulerState,
    /// Whether it serves, and nobody else is about to claim it.
    pub(super) free: bool,
    /// Tokens that it has still to read and generate.
    pub(super) work_tokens: u64,
    /// Most sequences that it runs at once.
    pub(super) batch_size_max: u32,
}

impl Claimable {
    /// What a scheduler says of itself, in the light of the claims that are recorded.
    pub(super) fn of(scheduler: &dyn Scheduler, recorded: &HashSet<SchedulerId>) -> Self {
        let snapshot = scheduler.snapshot();
        let snapshot = snapshot.borrow();
        Self {
            id: snapshot.id.clone(),
            model: snapshot.model.clone(),
            state: snapshot.state,
            free: snapshot.state == SchedulerState::Serving && !recorded.contains(&snapshot.id),
            work_tokens: snapshot.outstanding_tokens,
            batch_size_max: snapshot.batch_size_max.max(1),
        }
    }
}

/// On which terms one is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// Which.
    pub(super) selector: &'a ClaimSelector,
    /// So many of the model must go on serving …
    pub(super) min_serving: u32,
    /// … unless this is set.
    pub(super) force: bool,
}

/// The scheduler to claim: its index in `views`.
///
/// # Errors
/// As [`crate::Router::claim`].
pub(super) fn choose(views: &[Claimable], terms: Terms<'_>) -> Result<usize, RequestError> {
    let slot = match &terms.selector.scheduler {
        Some(id) => named(views, id, terms.selector.model.as_ref())?,
        None => least_loaded(views, terms.selector.model.as_ref())?,
    };
    let chosen = &views[slot];
    let serving = views.iter().filter(|view| view.model == chosen.model && view.free).count();
    let left = serving.saturating_sub(1);
    if left < terms.min_serving as usize && !terms.force {
        return Err(too_few(chosen, serving, left, terms.min_serving));
    }
    Ok(slot)
}

fn named(views: &[Claimable], id: &SchedulerId, model: Option<&ModelId>) -> Result<usize, RequestError> {
    let Some(slot) = views.iter().position(|view| view.id == *id) else {
        return Err(unknown("scheduler", id.as_str(), views.iter().map(|view| view.id.as_str())));
    };
    let view = &views[slot];
    if let Some(model) = model.filter(|model| **model != view.model) {
        let message = format!("scheduler {id} serves model {:?}, not {:?}", view.model.as_str(), model.as_str());
        return Err(RequestError::invalid("model", message));
    }
    if view.free {
        return Ok(slot);
    }
    let what = if view.state == SchedulerState::Serving { "about to be claimed" } else { view.state.as_str() };
    Err(RequestError::new(ErrorCode::Unavailable, format!("scheduler {id} is {what} and cannot be claimed")))
}

fn least_loaded(views: &[Claimable], model: Option<&ModelId>) -> Result<usize, RequestError> {
    let model = match model {
        Some(model) => model,
        None => only_model(views)?,
    };
    let of_model = || views.iter().enumerate().filter(|(_, view)| view.model == *model);
    if of_model().next().is_none() {
        return Err(unknown("model", model.as_str(), views.iter().map(|view| view.model.as_str())));
    }
    let candidates: Vec<Candidate> = of_model()
        .filter(|(_, view)| view.free)
        .map(|(slot, view)| Candidate {
            slot,
            key: slot as u64,
            work_tokens: view.work_tokens,
            requests: 0,
            batch_size_max: view.batch_size_max,
            matched_blocks: 0,
        })
        .collect();
    let Some((index, _)) = choose_by_load(Policy::LeastLoaded, &candidates, Circumstances::default()) else {
        let states: Vec<String> =
            of_model().map(|(_, view)| format!("{} is {}", view.id, view.state.as_str())).collect();
        let message = format!("no scheduler of model {:?} can be claimed now: {}", model.as_str(), states.join(", "));
        return Err(RequestError::new(ErrorCode::Unavailable, message));
    };
    Ok(candidates[index].slot)
}

fn only_model(views: &[Claimable]) -> Result<&ModelId, RequestError> {
    let Some(first) = views.first() else {
        return Err(RequestError::new(ErrorCode::Unavailable, "there is no scheduler to claim"));
    };
    if views.iter().all(|view| view.model == first.model) {
        return Ok(&first.model);
    }
    let known = listed(views.iter().map(|view| view.model.as_str()));
    let message = format!("several models are served ({known}): name one, or a scheduler");
    Err(RequestError::invalid("model", message))
}

fn unknown<'a>(kind: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> RequestError {
    RequestError {
        param: Some(kind.into()),
        ..RequestError::new(
            ErrorCode::NotFound,
            format!("there is no {kind} {name:?} here; there are: {}", listed(known)),
        )
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn too_few(chosen: &Claimable, serving: usize, left: usize, min_serving: u32) -> RequestError {
    let message = format!(
        "{serving} of model {:?} serve, so a claim on {} would leave {left}, and min_serving is {min_serving}: ask for \
         a smaller min_serving, or set force",
        chosen.model.as_str(),
        chosen.id
    );
    RequestError { param: Some("min_serving".into()), ..RequestError::new(ErrorCode::Unavailable, message) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(id: &str, model: &str, state: SchedulerState, work_tokens: u64) -> Claimable {
        let free = state == SchedulerState::Serving;
        Claimable { id: id.into(), model: model.into(), state, free, work_tokens, batch_size_max: 8 }
    }

    fn select(scheduler: Option<&str>, model: Option<&str>) -> ClaimSelector {
        ClaimSelector { scheduler: scheduler.map(Into::into), model: model.map(Into::into) }
    }

    fn try_to(
        views: &[Claimable],
        selector: &ClaimSelector,
        min_serving: u32,
        force: bool,
    ) -> Result<usize, RequestError> {
        choose(views, Terms { selector, min_serving, force })
    }

    #[test]
    fn a_model_gives_its_least_loaded_and_a_name_gives_that_one() {
        let views = [
            view("a", "m", SchedulerState::Serving, 90),
            view("b", "m", SchedulerState::Serving, 10),
            view("c", "n", SchedulerState::Serving, 0),
            view("d", "m", SchedulerState::Draining, 0),
        ];
        assert_eq!(try_to(&views, &select(None, Some("m")), 1, false), Ok(1));
        assert_eq!(try_to(&views, &select(Some("a"), None), 1, false), Ok(0));
        assert_eq!(try_to(&views, &select(Some("a"), Some("m")), 1, false), Ok(0));
        let refused = |scheduler, model| {
            let error = try_to(&views, &select(scheduler, model), 0, false).expect_err("it cannot be");
            (error.code, error.param.unwrap_or_default())
        };
        assert_eq!(refused(Some("a"), Some("n")), (ErrorCode::InvalidRequest, "model".into()));
        assert_eq!(refused(Some("x"), None), (ErrorCode::NotFound, "scheduler".into()));
        assert_eq!(refused(None, Some("x")), (ErrorCode::NotFound, "model".into()));
        assert_eq!(refused(None, None), (ErrorCode::InvalidRequest, "model".into()));
        assert_eq!(refused(Some("d"), None).0, ErrorCode::Unavailable);
    }

    #[test]
    fn a_refusal_names_the_numbers_and_the_ways_out() {
        let views = [view("a", "m", SchedulerState::Serving, 0)];
        let error = try_to(&views, &select(None, None), 1, false).expect_err("nobody would serve");
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::Unavailable, Some("min_serving")));
        for part in ["1 of model \"m\"", "leave 0", "min_serving is 1", "force"] {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
        assert_eq!(try_to(&views, &select(None, None), 0, false), Ok(0));
        assert_eq!(try_to(&views, &select(None, None), 1, true), Ok(0));
    }

    proptest! {
        /// Whatever is claimed one after the other, so many always go on serving.
        #[test]
        fn claims_never_leave_fewer_than_must_serve(
            count in 1usize..7, min_serving in 0u32..4, picks in prop::collection::vec(prop::option::of(0usize..7), 0..12),
        ) {
            let mut views: Vec<Claimable> =
                (0..count).map(|n| view(&format!("s{n}"), "m", SchedulerState::Serving, n as u64)).collect();
            for pick in picks {
                let id = pick.map(|n| format!("s{n}"));
                if let Ok(slot) = try_to(&views, &select(id.as_deref(), Some("m")), min_serving, false) {
                    prop_assert!(views[slot].free);
                    views[slot].free = false;
                    prop_assert!(views.iter().filter(|view| view.free).count() >= min_serving as usize);
                }
            }
        }
    }
}
