//! The schedulers of one model in the order in which the policies choose them. Pure.
//!
//! Most requests may go to any scheduler that is able. A [`Board`] decides them in constant or
//! logarithmic time, because it is kept in order when a scheduler changes. It looks at all
//! schedulers ([`choose_scheduler`]) only for a request that has been refused, that comes under a
//! claim, or that many of the first ones cannot take. Both ways lead to the same scheduler, except
//! that a board's average load is that of all able schedulers.

use std::cmp::Ordering;

use hostler_config::RoutingPolicy;
use hostler_protocol::RequestError;

use super::record::{CANDIDATES_MAX, Scored};
use super::slow_start::{FULL_SHARE, takes_part};
use super::{RouteRequest, SchedulerView, choose_scheduler};
use crate::policy::{Candidate, PolicyInput, Preference, Reason, Total, Tournament, draw, draw_two, rank};

/// No place.
const NONE: u32 = u32::MAX;

/// All schedulers of one model, by slot.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Whether a policy takes the schedulers in turn.
    takes_turns: bool,
    views: Vec<Option<SchedulerView>>,
    /// The slots of those that take requests without a claim, in any order, and their keys.
    able: Vec<(u32, u64)>,
    /// The index of each slot in `able`.
    places: Vec<u32>,
    by_load: Tournament,
    by_turn: Tournament,
    total: Total,
    /// How many of the able ones are not in slow start.
    established: usize,
    /// The number of the last choice.
    turn: u64,
}

impl Board {
    /// An empty board for these policies.
    pub(crate) fn new(policies: &[RoutingPolicy]) -> Self {
        Self { takes_turns: policies.contains(&RoutingPolicy::RoundRobin), ..Self::default() }
    }

    /// The schedulers, in the order of their slots.
    pub(crate) fn views(&self) -> Vec<&SchedulerView> {
        self.views.iter().flatten().collect()
    }

    pub(crate) fn view(&self, slot: usize) -> Option<&SchedulerView> {
        self.views.get(slot)?.as_ref()
    }

    /// The number of the next choice.
    pub(crate) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// What is known of the scheduler in a slot from now on, or that there is none.
    pub(crate) fn set(&mut self, slot: usize, view: Option<SchedulerView>) {
        if slot >= self.views.len() {
            self.views.resize(slot + 1, None);
            self.places.resize(slot + 1, NONE);
        }
        let before = self.views[slot].take().filter(SchedulerView::is_able);
        if let Some(before) = &before {
            self.total.subtract(&before.candidate);
            self.established -= usize::from(before.share == FULL_SHARE);
        }
        let is_able = match view.as_ref().filter(|view| view.is_able()) {
            Some(now) => {
                self.total.add(&now.candidate);
                self.established += usize::from(now.share == FULL_SHARE);
                true
            }
            None => false,
        };
        match (before.is_some(), is_able) {
            (false, true) => {
                self.places[slot] = number(self.able.len());
                self.able.push((number(slot), view.as_ref().map_or(0, |view| view.candidate.key)));
            }
            (true, false) => {
                let place = std::mem::replace(&mut self.places[slot], NONE) as usize;
                self.able.swap_remove(place);
                if let Some(&(moved, _)) = self.able.get(place) {
                    self.places[moved as usize] = number(place);
                }
            }
            _ => {}
        }
        self.views[slot] = view;
        if before.is_some() || is_able {
            let views = &self.views;
            self.by_load.set(slot, is_able, order(views, Candidate::by_load));
            if self.takes_turns {
                self.by_turn.set(slot, is_able, order(views, Candidate::by_turn));
            }
        }
    }

    /// The scheduler that gets the request, and why.
    ///
    /// # Errors
    /// As [`choose_scheduler`].
    pub(crate) fn choose(
        &self,
        policy: RoutingPolicy,
        request: &RouteRequest,
        input: &PolicyInput<'_>,
    ) -> Result<(usize, Reason), RequestError> {
        match self.choose_quickly(policy, request, input) {
            Some(chosen) => Ok(chosen),
            None => choose_scheduler(policy, &self.views(), request, input),
        }
    }

    /// The candidates that are recorded of a decision: the chosen one, those that have read a part
    /// of the prompt, and those that are next by load, or in turn.
    pub(crate) fn record(
        &self,
        policy: RoutingPolicy,
        chosen: usize,
        input: &PolicyInput<'_>,
    ) -> [Option<Scored>; CANDIDATES_MAX] {
        let next = match policy {
            RoutingPolicy::RoundRobin => self.by_turn.leaders(CANDIDATES_MAX, order(&self.views, Candidate::by_turn)),
            _ => self.by_load.leaders(CANDIDATES_MAX, order(&self.views, Candidate::by_load)),
        };
        let matching = input.matches.iter().map(|one| one.slot);
        let mut recorded = [const { None }; CANDIDATES_MAX];
        let mut places = recorded.iter_mut();
        let mut seen = [usize::MAX; CANDIDATES_MAX];
        for slot in [chosen].into_iter().chain(matching).chain(next) {
            let Some(view) = self.view(slot).filter(|_| !seen.contains(&slot)) else { continue };
            let Some(place) = places.next() else { break };
            let matched_blocks = input.matched_blocks(slot);
            *place = Some(Scored { scheduler: view.id.clone(), candidate: view.candidate, matched_blocks });
            seen[CANDIDATES_MAX - 1 - places.len()] = slot;
        }
        recorded
    }

    /// How many schedulers take requests that have no claim.
    pub(crate) fn able(&self) -> usize {
        self.able.len()
    }

    /// The same without a look at all schedulers; `None` if it needs one.
    fn choose_quickly(
        &self,
        policy: RoutingPolicy,
        request: &RouteRequest,
        input: &PolicyInput<'_>,
    ) -> Option<(usize, Reason)> {
        if request.claim.is_some() || !request.refused.is_empty() || self.able.is_empty() {
            return None;
        }
        let mut skipped_newcomer = false;
        let may = |slot: usize| {
            let fit = self.fit(slot, request, input.random);
            skipped_newcomer |= fit == Fit::Newcomer;
            fit == Fit::Fits
        };
        let (slot, reason) = self.choose_among_able(policy, input, may)?;
        // Slow start limits newcomers only while another scheduler can take the request.
        if skipped_newcomer && self.views[slot].as_ref().is_none_or(|view| view.share < FULL_SHARE) {
            return None;
        }
        Some((slot, if self.able.len() == 1 { Reason::OnlyOne } else { reason }))
    }

    fn choose_among_able(
        &self,
        policy: RoutingPolicy,
        input: &PolicyInput<'_>,
        mut may: impl FnMut(usize) -> bool,
    ) -> Option<(usize, Reason)> {
        let able = |index: usize| self.able[index].0 as usize;
        match policy {
            RoutingPolicy::RoundRobin => {
                let next = self.by_turn.first_that(may, order(&self.views, Candidate::by_turn))?;
                Some((next, Reason::InTurn))
            }
            RoutingPolicy::LeastLoaded => self.least_loaded(may, Reason::LeastLoaded),
            RoutingPolicy::Random => {
                let drawn = able(draw(input.random, self.able.len()));
                may(drawn).then_some((drawn, Reason::Drawn))
            }
            RoutingPolicy::PowerOfTwo if self.able.len() == 1 => self.least_loaded(may, Reason::LeastLoaded),
            RoutingPolicy::PowerOfTwo => {
                let (first, second) = draw_two(input.random, self.able.len());
                let (first, second) = (able(first), able(second));
                let is_second_less = order(&self.views, Candidate::compare_load)(first, second).is_gt();
                let both = may(first) && may(second);
                both.then_some((if is_second_less { second } else { first }, Reason::LeastLoaded))
            }
            RoutingPolicy::PrefixAware => {
                let matching = input.matches.iter().filter(|one| self.is_able(one.slot) && may(one.slot));
                let matching = matching.filter_map(|one| Some((one.slot, &self.view(one.slot)?.candidate, one.blocks)));
                match Preference::among(matching, &self.total) {
                    Preference::Preferred(slot) => Some((slot, Reason::PrefixMatch)),
                    Preference::Overloaded => self.least_loaded(may, Reason::Overloaded),
                    Preference::None => self.least_loaded(may, Reason::LeastLoaded),
                }
            }
            RoutingPolicy::Session => match input.session {
                None => self.least_loaded(may, Reason::LeastLoaded),
                Some(session) => {
                    let first = self.able.iter().max_by_key(|(slot, key)| (rank(session, *key), *slot))?.0 as usize;
                    (may(first) && self.has_room(first)).then_some((first, Reason::Session))
                }
            },
        }
    }

    fn least_loaded(&self, may: impl FnMut(usize) -> bool, reason: Reason) -> Option<(usize, Reason)> {
        Some((self.by_load.first_that(may, order(&self.views, Candidate::by_load))?, reason))
    }

    fn is_able(&self, slot: usize) -> bool {
        self.places.get(slot).is_some_and(|&place| place != NONE)
    }

    fn has_room(&self, slot: usize) -> bool {
        self.view(slot).is_some_and(|view| self.total.leaves_room(&view.candidate))
    }

    fn fit(&self, slot: usize, request: &RouteRequest, random: u64) -> Fit {
        match self.view(slot) {
            Some(view) if view.is_able() && view.is_capable(request) => {
                let is_limited = self.established > 0 && !takes_part(view.share, random, view.candidate.key);
                if is_limited { Fit::Newcomer } else { Fit::Fits }
            }
            _ => Fit::Cannot,
        }
    }
}

/// Whether a scheduler may get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    Cannot,
    /// It is in slow start, and this decision is not in its share.
    Newcomer,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

/// Orders slots by their candidates.
fn order(
    views: &[Option<SchedulerView>],
    compare: impl Fn(&Candidate, &Candidate) -> Ordering,
) -> impl Fn(usize, usize) -> Ordering {
    move |left, right| match (&views[left], &views[right]) {
        (Some(left), Some(right)) => compare(&left.candidate, &right.candidate),
        // Only slots with a scheduler are compared.
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
#[path = "board/tests.rs"]
mod tests;
