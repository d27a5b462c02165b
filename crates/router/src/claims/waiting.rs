//! Requests that wait for a claim to end, because nobody else serves their model.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures::future::select_all;
use hostler_protocol::{ErrorCode, GenerationRequest, ModelId, RequestError};
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use crate::Router;
use crate::handle::RoutedGeneration;

/// What requests wait for, by model: a channel whose sender goes when the model may
/// be served again. One task looks after it for all that wait, because a scheduler
/// under a benchmark changes its snapshot hundreds of times a second.
pub(super) type Gates = HashMap<ModelId, watch::Receiver<()>>;

impl Router {
    /// Dispatches a request; where only claims keep its model from being served,
    /// again when they have ended. What waits holds one of the router's permits,
    /// so that the router's bound is that of the waiting, too.
    pub(crate) async fn dispatch_or_wait(&self, request: &GenerationRequest) -> Result<RoutedGeneration, RequestError> {
        let until = Instant::now() + self.config().wait_max;
        let mut second_chance = true;
        loop {
            let before = self.claims().changes.load(Ordering::Acquire);
            let error = match self.dispatch(request).await {
                Ok(generation) => return Ok(generation),
                Err(error) => error,
            };
            if error.code != ErrorCode::Unavailable || request.claim.is_some() {
                return Err(error);
            }
            // A claim may also have come or gone while the request was refused. One that
            // another gateway made shows only in that the model is served now.
            let held = self.claims().holds(&request.model)
                || self.claims().changes.load(Ordering::Acquire) != before
                || self.is_held(&request.model);
            let tries_again = held || (std::mem::take(&mut second_chance) && self.is_served(&request.model));
            if !tries_again {
                return Err(error);
            }
            self.wait(request, until, error).await?;
        }
    }

    /// Whether nobody serves the model, and a claim is what holds it.
    fn is_held(&self, model: &ModelId) -> bool {
        is_held(self.schedulers().iter().filter(|snapshot| snapshot.model == *model))
    }

    fn is_served(&self, model: &ModelId) -> bool {
        self.schedulers().iter().any(|snapshot| snapshot.model == *model && snapshot.state == SchedulerState::Serving)
    }

    async fn wait(&self, request: &GenerationRequest, until: Instant, error: RequestError) -> Result<(), RequestError> {
        let _permit = self.permit()?;
        let mut closing = self.claims().closing.subscribe();
        let mut gate = self.gate(&request.model);
        let deadline = request.deadline.map(|deadline| deadline.instant());
        let patience = deadline.map_or(until, |deadline| deadline.min(until));
        tokio::select! {
            // The only change of a gate is that it opens.
            _ = gate.changed() => Ok(()),
            // An error means that the router is gone, which is an end as well.
            _ = closing.wait_for(|&closing| closing) => Err(RequestError::shutting_down()),
            () = tokio::time::sleep_until(patience.into()) => Err(match deadline {
                Some(deadline) if deadline <= until => too_late(),
                _ => error,
            }),
        }
    }

    /// Opens when the model is not held any more.
    fn gate(&self, model: &ModelId) -> watch::Receiver<()> {
        let claims = self.claims();
        let mut gates = claims.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.has_changed().is_ok());
        if let Some(gate) = gates.get(model) {
            return gate.clone();
        }
        let (open, gate) = watch::channel(());
        gates.insert(model.clone(), gate.clone());
        let (router, model) = (self.clone(), model.clone());
        claims.arbiter.spawn(async move {
            router.until_free(&model).await;
            drop(open);
        });
        gate
    }

    /// Returns when somebody serves the model, or no claim holds it.
    async fn until_free(&self, model: &ModelId) {
        let mut directory = self.watch_directory();
        loop {
            let schedulers = directory.borrow_and_update().clone();
            let mut snapshots: Vec<_> = schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
            // Seen before it is judged, so that no change in between is missed.
            let now: Vec<SchedulerSnapshot> = snapshots.iter_mut().map(|one| one.borrow_and_update().clone()).collect();
            if !is_held(now.iter().filter(|snapshot| snapshot.model == *model)) {
                return;
            }
            let changes = snapshots.iter_mut().map(|snapshot| Box::pin(snapshot.changed()));
            tokio::select! {
                _ = select_all(changes) => {}
                _ = directory.changed() => {}
            }
        }
    }

    /// Nobody shall wait for a claim to end any more.
    pub(crate) fn stop_waiting(&self) {
        self.claims().closing.send_replace(true);
    }
}

fn is_held<'a>(of_model: impl Iterator<Item = &'a SchedulerSnapshot>) -> bool {
    let mut held = false;
    for snapshot in of_model {
        if snapshot.state == SchedulerState::Serving {
            return false;
        }
        held |= snapshot.claim.is_some();
    }
    held
}

fn too_late() -> RequestError {
    RequestError::deadline_passed("while every scheduler of its model was claimed")
}
