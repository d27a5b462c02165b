//! A pass of the model over a batch, and its KV cache.

use std::ops::Range;

use hostler_protocol::TokenId;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

/// A forward pass with a KV cache. Tests replace it by a fake.
pub(crate) trait Forward {
    /// Runs a pass over `rows`.
    ///
    /// # Errors
    /// The engine's message; the state of the cache is then unknown.
    fn feed(&mut self, rows: &[FeedRow<'_>]) -> Result<(), String>;

    /// The logits after the last token of the `row`-th row of the last `feed`, one for
    /// each token of the vocabulary. The row must have `wants_logits`.
    fn logits(&self, row: usize) -> &[f32];

    /// Truncates the contents of `slot` to `length` tokens. If that is not possible, it
    /// clears the slot and returns false.
    fn truncate(&mut self, slot: usize, length: usize) -> bool;

    /// Copies the contents of `from` to `to`.
    fn copy(&mut self, from: usize, to: usize);
}

/// Consecutive tokens of one sequence.
#[derive(Clone, Debug)]
pub(crate) struct FeedRow<'a> {
    pub(crate) slot: usize,
    /// The position of the first token.
    pub(crate) position: usize,
    pub(crate) tokens: &'a [TokenId],
    /// Whether the logits after the last token are needed.
    pub(crate) wants_logits: bool,
}

/// llama.cpp's context, with one KV stream for each slot.
pub(crate) struct LlamaForward<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    /// The range of each row in the batch.
    rows: Vec<Range<i32>>,
}

impl<'model> LlamaForward<'model> {
    /// `batch_tokens`: maximum tokens of one pass.
    pub(crate) fn new(context: LlamaContext<'model>, batch_tokens: usize) -> Self {
        Self { context, batch: LlamaBatch::new(batch_tokens, 1), rows: Vec::new() }
    }
}

impl Forward for LlamaForward<'_> {
    fn feed(&mut self, rows: &[FeedRow<'_>]) -> Result<(), String> {
        self.batch.clear();
        self.rows.clear();
        for row in rows {
            let first = self.batch.n_tokens();
            let slot = signed(row.slot);
            let last = row.tokens.len() - 1;
            for (offset, &token) in row.tokens.iter().enumerate() {
                let position = signed(row.position + offset);
                let wants_logits = row.wants_logits && offset == last;
                self.batch
                    .add(LlamaToken(token.cast_signed()), position, &[slot], wants_logits)
                    .map_err(|error| error.to_string())?;
            }
            self.rows.push(first..self.batch.n_tokens());
        }
        self.context.decode(&mut self.batch).map_err(|error| error.to_string())
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.context.get_logits_ith(self.rows[row].end - 1)
    }

    fn truncate(&mut self, slot: usize, length: usize) -> bool {
        let slot = slot as u32;
        let from = u32::try_from(length).ok();
        if self.context.clear_kv_cache_seq(Some(slot), from, None).unwrap_or(false) {
            return true;
        }
        // Removing all of a sequence never fails.
        let _ = self.context.clear_kv_cache_seq(Some(slot), None, None);
        false
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.context
            .kv_cache_seq_cp(signed(from), signed(to), None, None)
            .expect("without positions, none can be out of range");
    }
}

/// Slots and positions are below the context length, which is an `i32` in llama.cpp.
fn signed(number: usize) -> i32 {
    i32::try_from(number).expect("slots and positions are bounded by the context")
}
