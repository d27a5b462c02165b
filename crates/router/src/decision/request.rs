//! What a decision needs to know of a request.

use hostler_protocol::{EmbeddingInput, FencingToken, GenerationRequest, ModelId, Prompt, RequestId, SchedulerId};
use hostler_scheduler::{Abilities, Needs};
use hostler_util::stable_hash;

use crate::policy::prompt_blocks;

/// Bytes of text that make about one token: what English text gives with common
/// vocabularies. Estimates of work are only compared, so they need not be exact.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens assumed for an answer whose request has no `max_tokens`.
const UNBOUNDED_ANSWER_TOKENS: u64 = 256;

/// A request for a scheduler.
#[derive(Debug)]
pub(crate) struct RouteRequest {
    pub(crate) id: RequestId,
    pub(crate) model: ModelId,
    /// The claim under which the request comes: only the scheduler that is held under it
    /// can take the request.
    pub(crate) claim: Option<FencingToken>,
    /// What its scheduler must be able to do.
    pub(crate) needs: Needs,
    /// About how many tokens the scheduler has to read and generate.
    pub(crate) work_tokens: u64,
    /// Schedulers that refused the request already.
    pub(crate) refused: Vec<SchedulerId>,
    /// A hash of the session's name, the same in every router, so that gateways agree on the
    /// session's scheduler.
    pub(crate) session: Option<u64>,
    /// Hashes of the prompt's first blocks, if a policy is `prefix_aware`.
    pub(crate) blocks: Vec<u64>,
}

impl RouteRequest {
    /// Routes a generation. The prompt is hashed here if `hashes`, before a table is locked.
    pub(crate) fn for_generation(request: &GenerationRequest, refused: &[SchedulerId], hashes: bool) -> Self {
        let blocks = if hashes { prompt_blocks(&request.cache_scope, &request.prompt) } else { Vec::new() };
        Self {
            id: request.id,
            model: request.model.clone(),
            claim: request.claim,
            needs: Needs::of_generation(request),
            work_tokens: generation_tokens(request),
            refused: refused.to_vec(),
            session: request.session.as_ref().map(|session| stable_hash(session.as_str().as_bytes())),
            blocks,
        }
    }

    /// Routes embeddings, which have no session, no claim and no cached prefix.
    pub(crate) fn for_embeddings(
        id: RequestId,
        model: &ModelId,
        inputs: &[EmbeddingInput],
        refused: &[SchedulerId],
    ) -> Self {
        let tokens = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(text) => text.len() / BYTES_PER_TOKEN,
            EmbeddingInput::Tokens(tokens) => tokens.len(),
        };
        Self {
            id,
            model: model.clone(),
            claim: None,
            needs: Needs::of_embeddings(inputs),
            work_tokens: inputs.iter().map(tokens).sum::<usize>() as u64,
            refused: refused.to_vec(),
            session: None,
            blocks: Vec::new(),
        }
    }

    /// Excludes schedulers whose sequences are not longer than that of one that refused the
    /// request as too long.
    pub(crate) fn longer_than(mut self, too_short: Option<Abilities>) -> Self {
        if let Some(abilities) = too_short {
            self.needs = self.needs.longer_than(abilities);
        }
        self
    }
}

fn generation_tokens(request: &GenerationRequest) -> u64 {
    let prompt = match &request.prompt {
        Prompt::Text(text) => text.len() / BYTES_PER_TOKEN,
        Prompt::Chat(chat) => chat.text_bytes() / BYTES_PER_TOKEN,
        Prompt::Tokens(tokens) => tokens.len(),
    };
    let answer = request.stop.max_tokens.map_or(UNBOUNDED_ANSWER_TOKENS, u64::from);
    prompt as u64 + answer
}
