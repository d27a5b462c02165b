//! Which requests are where, counted from dispatch to end by a guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use hostler_protocol::{GenerationRequest, Prompt, RequestId};
use hostler_scheduler::Scheduler;
use hostler_telemetry::Gauge;

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

/// Token work that this router has sent to one scheduler and that has not ended.
#[derive(Debug, Default)]
pub(crate) struct InFlightWork(AtomicU64);

impl InFlightWork {
    pub(crate) fn tokens(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where every request is that has not ended: what cancelling one needs.
pub(crate) type Whereabouts = DashMap<RequestId, Arc<dyn Scheduler>>;

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
        work.0.fetch_add(tokens, Ordering::Relaxed);
        gauge.increment(1.0);
        whereabouts.insert(id, scheduler);
        Self { work, tokens, gauge, whereabouts, id }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.work.0.fetch_sub(self.tokens, Ordering::Relaxed);
        self.gauge.decrement(1.0);
        self.whereabouts.remove(&self.id);
    }
}
