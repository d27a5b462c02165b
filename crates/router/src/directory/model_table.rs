//! The schedulers of one model, and the decisions among them. Requests decide in their own tasks,
//! one after the other: each holds the table's lock for about half a microsecond.
//!
//! # How old what a decision uses can be
//! The chosen scheduler's state, load and circuit breaker are read in the decision itself; if they
//! differ from the table, the decision is made again. The others' are at most [`AGE_MAX`] old,
//! and those of this router's own requests are exact. Before a decision fails, all are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostler_config::RouterConfig;
use hostler_protocol::{ModelId, RequestError, SchedulerId};
use hostler_scheduler::Scheduler;
use parking_lot::Mutex;

use super::entry::{Entry, next_cache};
use super::health::Health;
use super::in_flight::{Held, InFlightWork};
use crate::decision::explain::{Explanation, explain};
use crate::decision::record::Decision;
use crate::decision::slow_start::FULL_SHARE;
use crate::decision::{Board, RouteRequest};
use crate::metrics::DecisionMetrics;
use crate::policy::{Cache, Match, PolicyInput, PrefixIndex, Reason, mix};

/// Most time for which a decision uses what a scheduler that it does not choose has published.
/// Short for a queue, which changes with each request; and at a thousand schedulers, looking at
/// all of them takes a hundredth of it.
pub(crate) const AGE_MAX: Duration = Duration::from_millis(10);

/// How often a decision is made again because its scheduler differs from the table, before it
/// reads all of them.
const AGAIN_MAX: usize = 4;

/// A model, its schedulers and the prefixes that they have read.
pub(crate) struct ModelTable {
    model: ModelId,
    rows: Mutex<Rows>,
    prefixes: Mutex<PrefixIndex>,
    metrics: DecisionMetrics,
    /// Whether a scheduler has been seen with another model.
    has_moved: AtomicBool,
}

/// What a decision gives to a request.
pub(crate) struct Chosen {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) health: Health,
    pub(crate) slot: usize,
    pub(crate) held: Held,
    pub(crate) decision: Decision,
}

impl ModelTable {
    pub(crate) fn new(model: ModelId, config: Arc<RouterConfig>, random: u64, now: Instant) -> Self {
        let metrics = DecisionMetrics::new(&model, &config);
        let prefixes = PrefixIndex::new(config.prefix_blocks_max);
        let board = Board::new(&[Some(config.policy), config.shadow_policy].into_iter().flatten().collect::<Vec<_>>());
        let rows = Rows { config, entries: Vec::new(), board, read: now, random, caches: 0, has_moved: false };
        let (rows, prefixes, has_moved) = (Mutex::new(rows), Mutex::new(prefixes), AtomicBool::new(false));
        Self { model, rows, prefixes, metrics, has_moved }
    }

    pub(crate) fn model(&self) -> &ModelId {
        &self.model
    }

    /// Adds a scheduler, and returns its slot.
    pub(crate) fn add(&self, scheduler: Arc<dyn Scheduler>, now: Instant) -> usize {
        self.rows.lock().add(scheduler, &self.model, now)
    }

    /// Removes the scheduler in a slot. Requests that it has keep their guards.
    pub(crate) fn remove(&self, slot: usize) {
        let mut rows = self.rows.lock();
        rows.entries[slot] = None;
        rows.board.set(slot, None);
    }

    /// Chooses a scheduler, at which the request counts from now on.
    ///
    /// # Errors
    /// As [`Board::choose`].
    pub(crate) fn choose(&self, request: &RouteRequest, now: Instant) -> Result<Chosen, RequestError> {
        let matches = self.matches(request);
        let mut rows = self.rows.lock();
        let chosen = rows.choose(&self.model, request, &matches, now);
        if rows.has_moved {
            self.has_moved.store(true, Ordering::Release);
        }
        let (slot, reason) = chosen?;
        let matches = rows.matches(&matches);
        let (scheduler, shadow) = rows.shadow(slot, request, &matches);
        let decision = Decision {
            scheduler,
            policy: rows.config.policy,
            reason,
            able: u32::try_from(rows.board.able()).unwrap_or(u32::MAX),
            prompt_blocks: u32::try_from(request.blocks.len()).unwrap_or(u32::MAX),
            candidates: rows.board.record(rows.config.policy, slot, &rows.input(request, &matches)),
            shadow: shadow.clone(),
            cost: Duration::ZERO,
        };
        let (mut chosen, cache) = rows.take(&self.model, slot, request, decision, now)?;
        drop(rows);
        if let Some(shadow) = &shadow {
            self.metrics.shadowed(*shadow == chosen.decision.scheduler);
        }
        if !request.blocks.is_empty() {
            self.prefixes.lock().insert(&request.blocks, cache);
        }
        self.metrics.decided(reason);
        chosen.decision.cost = now.elapsed();
        Ok(chosen)
    }

    /// What a decision would be now.
    pub(crate) fn explain(&self, request: &RouteRequest, now: Instant) -> Explanation {
        let matches = self.matches(request);
        let mut rows = self.rows.lock();
        rows.read_all(&self.model, now);
        let matches = rows.matches(&matches);
        let input = rows.input(request, &matches);
        explain(rows.config.policy, &rows.board.views(), request, &input)
    }

    /// A request that counted at the scheduler in a slot has ended.
    pub(crate) fn settle(&self, slot: usize, work: &Arc<InFlightWork>, now: Instant) {
        let mut rows = self.rows.lock();
        // The slot may belong to another scheduler by now.
        let is_same = rows.entries[slot].as_ref().is_some_and(|entry| Arc::ptr_eq(&entry.work, work));
        if is_same {
            rows.read(&self.model, slot, now);
        }
    }

    /// The longest sequence that any of the schedulers has room for, in whichever state.
    pub(crate) fn sequence_tokens_max(&self) -> u32 {
        let rows = self.rows.lock();
        let abilities = rows.board.views().into_iter().filter_map(|view| view.abilities);
        abilities.map(|abilities| abilities.sequence_tokens_max()).max().unwrap_or(0)
    }

    /// Whether a scheduler has been seen with another model.
    pub(crate) fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Acquire)
    }

    /// Removes the schedulers that have another model now, and returns their slots.
    pub(crate) fn remove_moved(&self, now: Instant) -> Vec<usize> {
        let mut rows = self.rows.lock();
        rows.read_all(&self.model, now);
        rows.has_moved = false;
        self.has_moved.store(false, Ordering::Release);
        let moved = |slot: &usize| rows.entries[*slot].is_some() && rows.board.view(*slot).is_none();
        let moved: Vec<usize> = (0..rows.entries.len()).filter(moved).collect();
        moved.iter().for_each(|&slot| rows.entries[slot] = None);
        moved
    }

    /// The caches that have read the prompt's first blocks, and how many.
    fn matches(&self, request: &RouteRequest) -> Vec<(Cache, u32)> {
        if request.blocks.is_empty() { Vec::new() } else { self.prefixes.lock().matches(&request.blocks) }
    }
}

struct Rows {
    config: Arc<RouterConfig>,
    entries: Vec<Option<Entry>>,
    board: Board,
    /// When all entries were read.
    read: Instant,
    random: u64,
    /// The number of caches so far: each engine has its own.
    caches: u64,
    has_moved: bool,
}

impl Rows {
    fn add(&mut self, scheduler: Arc<dyn Scheduler>, model: &ModelId, now: Instant) -> usize {
        let slot = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if slot == self.entries.len() {
            self.entries.push(None);
        }
        // Behind all others in turn, so that it does not get a turn more than they.
        let turn = self.board.next_turn();
        self.entries[slot] = Some(Entry::new(scheduler, model, &self.config, turn, next_cache(slot, &mut self.caches)));
        self.read(model, slot, now);
        slot
    }

    fn choose(
        &mut self,
        model: &ModelId,
        request: &RouteRequest,
        caches: &[(Cache, u32)],
        now: Instant,
    ) -> Result<(usize, Reason), RequestError> {
        if now.saturating_duration_since(self.read) >= AGE_MAX {
            self.read_all(model, now);
        }
        self.random = mix(self.random);
        let matches = self.matches(caches);
        for _ in 0..AGAIN_MAX {
            match self.board.choose(self.config.policy, request, &self.input(request, &matches)) {
                // Whether all others are open must be known now.
                Ok((_, Reason::LeastFailing)) | Err(_) => break,
                Ok((slot, reason)) => {
                    if !self.read_if_changed(model, slot, now) {
                        return Ok((slot, reason));
                    }
                }
            }
        }
        self.read_all(model, now);
        self.board.choose(self.config.policy, request, &self.input(request, &matches))
    }

    /// The name of the chosen scheduler, and what the shadow policy would choose. It is asked about
    /// every request that has no claim, and sees what the decisions have made of the schedulers.
    fn shadow(&self, slot: usize, request: &RouteRequest, matches: &[Match]) -> (SchedulerId, Option<SchedulerId>) {
        let name = |slot: usize| self.entries.get(slot)?.as_ref().map(|entry| entry.scheduler.id().clone());
        let ask = |policy| {
            let (chosen, _) = self.board.choose(policy, request, &self.input(request, matches)).ok()?;
            let shadowed = self.entries[chosen].as_ref()?.metrics.shadowed.as_ref()?;
            shadowed.increment(1);
            name(chosen)
        };
        let shadow = self.config.shadow_policy.filter(|_| request.claim.is_none()).and_then(ask);
        (name(slot).unwrap_or_else(|| SchedulerId::from("")), shadow)
    }

    /// Counts the request at the scheduler in this slot. Returns the number of its cache, too.
    fn take(
        &mut self,
        model: &ModelId,
        slot: usize,
        request: &RouteRequest,
        decision: Decision,
        now: Instant,
    ) -> Result<(Chosen, Cache), RequestError> {
        let turn = self.board.next_turn();
        let Some(entry) = self.entries[slot].as_mut() else {
            return Err(RequestError::unavailable("the scheduler has just left"));
        };
        entry.turn = turn;
        if !entry.health.is_closed() {
            entry.health.dispatched();
        }
        entry.metrics.routed.increment(1);
        let held = Held::new(Arc::clone(&entry.work), request.work_tokens, entry.metrics.in_flight.clone());
        let (scheduler, health) = (Arc::clone(&entry.scheduler), entry.health.clone());
        let cache = entry.cache;
        self.read(model, slot, now);
        Ok((Chosen { scheduler, health, slot, held, decision }, cache))
    }

    fn input<'a>(&self, request: &RouteRequest, matches: &'a [Match]) -> PolicyInput<'a> {
        PolicyInput { random: self.random, session: request.session, matches }
    }

    /// The slots of the caches that have read a prompt's first blocks.
    fn matches(&self, caches: &[(Cache, u32)]) -> Vec<Match> {
        let is_current = |cache: Cache, slot: usize| {
            self.entries.get(slot).is_some_and(|entry| entry.as_ref().is_some_and(|entry| entry.cache == cache))
        };
        let known = caches.iter().map(|&(cache, blocks)| (cache, Match { slot: cache.slot(), blocks }));
        known.filter(|&(cache, one)| is_current(cache, one.slot)).map(|(_, one)| one).collect()
    }

    fn read_all(&mut self, model: &ModelId, now: Instant) {
        for slot in 0..self.entries.len() {
            self.read_if_restless(model, slot, now);
        }
        self.read = now;
    }

    /// Reads a scheduler if something of it may have changed, also with time.
    fn read_if_restless(&mut self, model: &ModelId, slot: usize, now: Instant) {
        let is_limited = self.board.view(slot).is_none_or(|view| view.share < FULL_SHARE);
        if is_limited {
            self.read(model, slot, now);
        } else {
            self.read_if_changed(model, slot, now);
        }
    }

    /// Reads a scheduler if it has changed. Whether it differs from the table.
    fn read_if_changed(&mut self, model: &ModelId, slot: usize, now: Instant) -> bool {
        let Some(entry) = &self.entries[slot] else { return false };
        match self.board.view(slot) {
            Some(view) if !entry.has_changed(view) => false,
            _ => self.read(model, slot, now),
        }
    }

    /// Reads a scheduler. Whether it differs from the table.
    fn read(&mut self, model: &ModelId, slot: usize, now: Instant) -> bool {
        let Some(entry) = self.entries[slot].as_mut() else { return false };
        let view = entry.read(slot, model, &mut self.caches, self.config.slow_start, now);
        self.has_moved |= view.is_none();
        if self.board.view(slot) == view.as_ref() {
            return false;
        }
        self.board.set(slot, view);
        true
    }
}

#[cfg(test)]
#[path = "model_table/tests.rs"]
mod tests;
