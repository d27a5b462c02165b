//! Which requests are where, counted from dispatch to end by a guard.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use dashmap::DashMap;
use hostler_protocol::{GenerationRequest, Prompt, RequestId};
use hostler_scheduler::Scheduler;
use hostler_telemetry::Gauge;
use tokio::sync::Notify;

/// Bytes of text that make about one token: what English text gives with the
/// vocabularies in use. Work is compared, not accounted for, so it need not be right.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens assumed for an answer whose length is not bounded by its request.
const UNBOUNDED_ANSWER_TOKENS: u64 = 256;

/// About how many tokens a request makes a scheduler read and generate.
pub(crate) fn estimated_work(request: &GenerationRequest) -> u64 {
    let prompt = match &request.prompt {
        Prompt::Text(text) => text.len() / BYTES_PER_TOKEN,
        Prompt::Chat(messages) => messages.iter().map(|message| message.content.len() / BYTES_PER_TOKEN).sum(),
        Prompt::Tokens(tokens) => tokens.len(),
    };
    let answer = request.stop.max_tokens.map_or(UNBOUNDED_ANSWER_TOKENS, u64::from);
    prompt as u64 + answer
}

/// What this router has sent to one scheduler and that has not ended.
#[derive(Debug, Default)]
pub(crate) struct InFlightWork {
    tokens: AtomicU64,
    requests: AtomicU32,
}

impl InFlightWork {
    /// Token work.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Requests.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Where every request is that has not ended: what cancelling one needs.
#[derive(Default)]
pub(crate) struct Whereabouts {
    /// With whom, or on offer to whom.
    at: DashMap<RequestId, Arc<dyn Scheduler>>,
    /// Those that another scheduler is looked for. Whoever cancels one tells this.
    moving: DashMap<RequestId, Arc<Notify>>,
}

impl Whereabouts {
    /// Cancels a request. Whether there was one.
    pub(crate) async fn cancel(&self, id: RequestId) -> bool {
        // The search for another scheduler includes what is on offer there.
        if let Some(cancelled) = self.moving.get(&id) {
            cancelled.notify_one();
            return true;
        }
        let scheduler = self.at.get(&id).map(|entry| Arc::clone(entry.value()));
        match scheduler {
            Some(scheduler) => scheduler.cancel(id).await,
            None => false,
        }
    }

    /// Cancels every request.
    pub(crate) async fn cancel_all(&self) {
        let placed = self.at.iter().map(|entry| *entry.key());
        let all: HashSet<RequestId> = placed.chain(self.moving.iter().map(|entry| *entry.key())).collect();
        futures::future::join_all(all.into_iter().map(|id| self.cancel(id))).await;
    }
}

/// Counts one request at one scheduler until it is dropped.
pub(crate) struct InFlightGuard {
    work: Arc<InFlightWork>,
    tokens: u64,
    gauge: Gauge,
    whereabouts: Arc<Whereabouts>,
    id: RequestId,
}

impl InFlightGuard {
    pub(crate) fn new(
        work: Arc<InFlightWork>,
        tokens: u64,
        gauge: Gauge,
        whereabouts: Arc<Whereabouts>,
        id: RequestId,
        scheduler: Arc<dyn Scheduler>,
    ) -> Self {
        work.tokens.fetch_add(tokens, Ordering::Relaxed);
        work.requests.fetch_add(1, Ordering::Relaxed);
        gauge.increment(1.0);
        whereabouts.at.insert(id, scheduler);
        Self { work, tokens, gauge, whereabouts, id }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.work.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
        self.work.requests.fetch_sub(1, Ordering::Relaxed);
        self.gauge.decrement(1.0);
        self.whereabouts.at.remove(&self.id);
    }
}

/// A request on its way from one scheduler to another. While it lives, the request
/// can be cancelled.
pub(crate) struct OnTheMove {
    whereabouts: Arc<Whereabouts>,
    id: RequestId,
    cancelled: Arc<Notify>,
}

impl OnTheMove {
    pub(crate) fn new(whereabouts: Arc<Whereabouts>, id: RequestId) -> Self {
        let cancelled = Arc::new(Notify::new());
        whereabouts.moving.insert(id, Arc::clone(&cancelled));
        Self { whereabouts, id, cancelled }
    }

    /// Returns when somebody cancels the request.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for OnTheMove {
    fn drop(&mut self) {
        self.whereabouts.moving.remove(&self.id);
    }
}
