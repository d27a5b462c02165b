//! Which scheduler a claim gets. Pure.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use hostler_config::RoutingPolicy;
use hostler_protocol::{ClaimDrain, ErrorCode, ModelId, RequestError, SchedulerId};
use hostler_scheduler::{Scheduler, SchedulerState};

use crate::policy::{Candidate, PolicyInput, choose as choose_by_load};

/// Which scheduler to claim: this one, or the least loaded of a model. With neither, the
/// least loaded of the only model that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSelector {
    /// By name.
    pub scheduler: Option<SchedulerId>,
    /// By model.
    pub model: Option<ModelId>,
}

/// What to claim and on which terms: the argument of [`crate::Router::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimSpec {
    /// Which scheduler.
    pub selector: ClaimSelector,
    /// The holder's name, for people to read.
    pub owner: String,
    /// How long the claim lasts without a heartbeat.
    pub ttl: Duration,
    /// What happens to the scheduler's requests.
    pub drain: ClaimDrain,
    /// How many schedulers of the model must go on serving.
    pub min_serving: u32,
    /// Whether to claim even if fewer than `min_serving` remain.
    pub force: bool,
}

impl ClaimSpec {
    /// A claim that lets the scheduler finish its requests and leaves at least one that
    /// serves. Its lease is renewed every ten seconds, so that the claim of a dead holder
    /// ends after half a minute.
    #[must_use]
    pub fn new(selector: ClaimSelector, owner: impl Into<String>) -> Self {
        let (ttl, drain) = (Duration::from_secs(30), ClaimDrain::Wait);
        Self { selector, owner: owner.into(), ttl, drain, min_serving: 1, force: false }
    }
}

/// What is known of one scheduler when a claim is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimable {
    pub(super) id: SchedulerId,
    pub(super) model: ModelId,
    state: SchedulerState,
    /// Whether it serves and no other gateway is claiming it.
    pub(super) is_free: bool,
    /// Tokens that it has to read and generate.
    work_tokens: u64,
    /// Most sequences that it runs at once.
    batch_size_max: u32,
}

impl Claimable {
    /// The scheduler as its snapshot shows it. `recorded` are those that other gateways
    /// are claiming.
    pub(super) fn new(scheduler: &dyn Scheduler, recorded: &HashSet<SchedulerId>) -> Self {
        let snapshot = scheduler.snapshot();
        let snapshot = snapshot.borrow();
        Self {
            id: snapshot.id.clone(),
            model: snapshot.model.clone(),
            state: snapshot.state,
            is_free: snapshot.state == SchedulerState::Serving && !recorded.contains(&snapshot.id),
            work_tokens: snapshot.outstanding_tokens,
            batch_size_max: snapshot.batch_size_max.max(1),
        }
    }
}

/// The scheduler to claim: its index in `views`.
///
/// # Errors
/// As [`crate::Router::claim`].
pub(super) fn choose(views: &[Claimable], spec: &ClaimSpec) -> Result<usize, RequestError> {
    let model = spec.selector.model.as_ref();
    let slot = match &spec.selector.scheduler {
        Some(id) => named(views, id, model)?,
        None => least_loaded(views, model)?,
    };
    let chosen = &views[slot];
    let serving = views.iter().filter(|view| view.model == chosen.model && view.is_free).count();
    let left = serving.saturating_sub(1);
    if left < spec.min_serving as usize && !spec.force {
        return Err(too_few(chosen, serving, left, spec.min_serving));
    }
    Ok(slot)
}

fn named(views: &[Claimable], id: &SchedulerId, model: Option<&ModelId>) -> Result<usize, RequestError> {
    let Some(slot) = views.iter().position(|view| view.id == *id) else {
        let known = listed(views.iter().map(|view| view.id.as_str()));
        let message = format!("there is no scheduler {:?} here; schedulers: {known}", id.as_str());
        return Err(RequestError {
            param: Some("scheduler".into()),
            ..RequestError::new(ErrorCode::NotFound, message)
        });
    };
    let view = &views[slot];
    if let Some(model) = model.filter(|model| **model != view.model) {
        let message = format!("scheduler {id} serves model {:?}, not {:?}", view.model.as_str(), model.as_str());
        return Err(RequestError::invalid("model", message));
    }
    if view.is_free {
        return Ok(slot);
    }
    let state = if view.state == SchedulerState::Serving { "being claimed" } else { view.state.as_str() };
    Err(RequestError::unavailable(format!("scheduler {id} is {state} and cannot be claimed")))
}

fn least_loaded(views: &[Claimable], model: Option<&ModelId>) -> Result<usize, RequestError> {
    let model = match model {
        Some(model) => model,
        None => only_model(views)?,
    };
    let of_model = || views.iter().enumerate().filter(|(_, view)| view.model == *model);
    if of_model().next().is_none() {
        return Err(RequestError::unknown_model(model.as_str(), views.iter().map(|view| view.model.as_str())));
    }
    let candidates: Vec<Candidate> = of_model()
        .filter(|(_, view)| view.is_free)
        .map(|(slot, view)| Candidate {
            slot,
            key: slot as u64,
            work_tokens: view.work_tokens,
            requests: 0,
            batch_size_max: view.batch_size_max,
            turn: 0,
        })
        .collect();
    let Some((index, _)) = choose_by_load(RoutingPolicy::LeastLoaded, &candidates, &PolicyInput::default()) else {
        let states: Vec<String> =
            of_model().map(|(_, view)| format!("{} is {}", view.id, view.state.as_str())).collect();
        let message = format!("no scheduler of model {:?} can be claimed now: {}", model.as_str(), states.join(", "));
        return Err(RequestError::unavailable(message));
    };
    Ok(candidates[index].slot)
}

fn only_model(views: &[Claimable]) -> Result<&ModelId, RequestError> {
    let Some(first) = views.first() else {
        return Err(RequestError::unavailable("there is no scheduler to claim"));
    };
    if views.iter().all(|view| view.model == first.model) {
        return Ok(&first.model);
    }
    let known = listed(views.iter().map(|view| view.model.as_str()));
    let message = format!("several models are served ({known}): name one, or a scheduler");
    Err(RequestError::invalid("model", message))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    BTreeSet::from_iter(names).into_iter().collect::<Vec<_>>().join(", ")
}

fn too_few(chosen: &Claimable, serving: usize, left: usize, min_serving: u32) -> RequestError {
    let message = format!(
        "{serving} of model {:?} are serving, so a claim on {} would leave {left}, and min_serving is {min_serving}: \
         use a smaller min_serving, or set force",
        chosen.model.as_str(),
        chosen.id
    );
    RequestError { param: Some("min_serving".into()), ..RequestError::unavailable(message) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(id: &str, model: &str, state: SchedulerState, work_tokens: u64) -> Claimable {
        let is_free = state == SchedulerState::Serving;
        Claimable { id: id.into(), model: model.into(), state, is_free, work_tokens, batch_size_max: 8 }
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
        choose(views, &ClaimSpec { min_serving, force, ..ClaimSpec::new(selector.clone(), "a test") })
    }

    #[test]
    fn a_model_selects_its_least_loaded_scheduler_and_a_name_selects_that_one() {
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
            let error = try_to(&views, &select(scheduler, model), 0, false).expect_err("it cannot be claimed");
            (error.code, error.param.unwrap_or_default())
        };
        assert_eq!(refused(Some("a"), Some("n")), (ErrorCode::InvalidRequest, "model".into()));
        assert_eq!(refused(Some("x"), None), (ErrorCode::NotFound, "scheduler".into()));
        assert_eq!(refused(None, Some("x")), (ErrorCode::NotFound, "model".into()));
        assert_eq!(refused(None, None), (ErrorCode::InvalidRequest, "model".into()));
        assert_eq!(refused(Some("d"), None).0, ErrorCode::Unavailable);
    }

    #[test]
    fn a_refusal_says_the_numbers_and_what_to_do() {
        let views = [view("a", "m", SchedulerState::Serving, 0)];
        let error = try_to(&views, &select(None, None), 1, false).expect_err("none would serve");
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::Unavailable, Some("min_serving")));
        for part in ["1 of model \"m\"", "leave 0", "min_serving is 1", "force"] {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
        assert_eq!(try_to(&views, &select(None, None), 0, false), Ok(0));
        assert_eq!(try_to(&views, &select(None, None), 1, true), Ok(0));
    }

    proptest! {
        /// Whichever schedulers are claimed one after the other, `min_serving` always remain.
        #[test]
        fn claims_never_leave_fewer_than_must_serve(
            count in 1usize..7, min_serving in 0u32..4, picks in prop::collection::vec(prop::option::of(0usize..7), 0..12),
        ) {
            let mut views: Vec<Claimable> =
                (0..count).map(|n| view(&format!("s{n}"), "m", SchedulerState::Serving, n as u64)).collect();
            for pick in picks {
                let id = pick.map(|n| format!("s{n}"));
                if let Ok(slot) = try_to(&views, &select(id.as_deref(), Some("m")), min_serving, false) {
                    prop_assert!(views[slot].is_free);
                    views[slot].is_free = false;
                    prop_assert!(views.iter().filter(|view| view.is_free).count() >= min_serving as usize);
                }
            }
        }
    }
}
