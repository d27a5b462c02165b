//! Where a request finds its scheduler: in its own task, over the published tables.

use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use hostler_protocol::RequestError;

use crate::actor::{FollowModels, RouterActor, stopped};
use crate::decision::RouteRequest;
use crate::decision::explain::Explanation;
use crate::directory::in_flight::InFlight;
use crate::directory::{Assignment, Chosen, ModelTable, Tables};

/// Chooses schedulers. Clones share everything.
#[derive(Clone)]
pub(crate) struct Chooser {
    pub(crate) tables: Arc<Tables>,
    pub(crate) actor: Addr<RouterActor>,
    pub(crate) in_flight: Arc<InFlight>,
}

impl Chooser {
    /// Chooses a scheduler. The request counts there while the assignment lives.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` if no scheduler can take the request now.
    pub(crate) async fn choose(&self, request: &RouteRequest) -> Result<Assignment, RequestError> {
        let Some(table) = self.tables.get(&request.model) else { return self.choose_after_following(request).await };
        let chosen = table.choose(request, Instant::now());
        match (chosen, table.has_moved()) {
            // Another request may need the scheduler that has another model now.
            (Ok(chosen), true) => {
                self.actor.do_send(FollowModels);
                Ok(self.assign(table, chosen, request))
            }
            (Ok(chosen), false) => Ok(self.assign(table, chosen, request)),
            (Err(_), true) => self.choose_after_following(request).await,
            (Err(error), false) => Err(error),
        }
    }

    /// Chooses a scheduler and gives the place back. Whether there was one.
    pub(crate) fn try_choose(&self, request: &RouteRequest) -> bool {
        let Some(table) = self.tables.get(&request.model) else { return false };
        let chosen = table.choose(request, Instant::now());
        chosen.map(|chosen| self.assign(table, chosen, request)).is_ok()
    }

    /// What a decision would be now.
    ///
    /// # Errors
    /// `NotFound` for an unknown model.
    pub(crate) async fn explain(&self, request: &RouteRequest) -> Result<Explanation, RequestError> {
        self.follow().await?;
        match self.tables.get(&request.model) {
            Some(table) => Ok(table.explain(request, Instant::now())),
            None => Err(self.tables.unknown(&request.model)),
        }
    }

    /// A scheduler may have come back with this model, or with another one.
    async fn choose_after_following(&self, request: &RouteRequest) -> Result<Assignment, RequestError> {
        self.follow().await?;
        let table = self.tables.get(&request.model).ok_or_else(|| self.tables.unknown(&request.model))?;
        let chosen = table.choose(request, Instant::now())?;
        Ok(self.assign(table, chosen, request))
    }

    fn assign(&self, table: Arc<ModelTable>, chosen: Chosen, request: &RouteRequest) -> Assignment {
        Assignment::new(table, chosen, Arc::clone(&self.in_flight), request.id)
    }

    async fn follow(&self) -> Result<(), RequestError> {
        self.actor.send(FollowModels).await.map_err(stopped)
    }
}
