//! One pass of the model over a batch, and the cache behind it.

use std::ops::Range;

use hostler_protocol::TokenId;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

/// A pass over the model, and what it does with the cache: the seam at which the
/// engine is tested without one.
pub(crate) trait Forward {
    /// Feeds `rows`. Afterwards [`logits`](Self::logits) speaks of them.
    ///
    /// # Errors
    /// What went wrong; the cache is in an unknown state then.
    fn feed(&mut self, rows: &[FeedRow<'_>]) -> Result<(), String>;

    /// The logits after the last token of the `row`-th of the rows that were fed,
    /// which wanted them: one number a token of the vocabulary.
    fn logits(&self, row: usize) -> &[f32];

    /// Forgets what `slot` holds from `length` on. Whether it could: if not, it has
    /// forgotten all of it.
    fn truncate(&mut self, slot: usize, length: usize) -> bool;

    /// Makes `to` hold what `from` holds.
    fn copy(&mut self, from: usize, to: usize);
}

/// Some tokens of one sequence.
#[derive(Clone, Debug)]
pub(crate) struct FeedRow<'a> {
    pub(crate) slot: usize,
    /// The position of the first one.
    pub(crate) position: usize,
    pub(crate) tokens: &'a [TokenId],
    /// Whether the next token is to be chosen after the last of them.
    pub(crate) wants_logits: bool,
}

/// llama.cpp's context: one KV stream a slot.
pub(crate) struct LlamaForward<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    /// Where in the batch each row stood.
    rows: Vec<Range<i32>>,
}

impl<'model> LlamaForward<'model> {
    /// `batch_tokens`: most tokens of all rows of one pass.
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
            .expect("no position is given, so none is out of range");
    }
}

/// Slots and positions are below the context length, an `i32` of llama.cpp's.
fn signed(number: usize) -> i32 {
    i32::try_from(number).expect("slots and positions are bounded by the context")
}
