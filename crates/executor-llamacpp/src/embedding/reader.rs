//! The model as it reads a text for its vectors.

use hostler_protocol::TokenId;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

/// A pass over the model that keeps what it has read of one text: the seam at which
/// the embedder is tested without one.
pub(crate) trait Reader {
    /// Reads the tokens of a text from `position` on; at 0 a new text begins.
    ///
    /// # Errors
    /// What went wrong.
    fn read(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String>;

    /// The vector of the `index`-th of the tokens that were just read.
    fn vector(&self, index: usize) -> &[f32];
}

/// llama.cpp's context for embeddings, made when the first text comes: most servers
/// never need one, and it has a KV cache of a whole context.
pub(crate) struct LlamaReader<'model> {
    make: Box<dyn Fn() -> Result<LlamaContext<'model>, String> + 'model>,
    context: Option<LlamaContext<'model>>,
    batch: LlamaBatch<'static>,
}

impl<'model> LlamaReader<'model> {
    /// `chunk`: most tokens of one pass.
    pub(crate) fn new(chunk: usize, make: impl Fn() -> Result<LlamaContext<'model>, String> + 'model) -> Self {
        Self { make: Box::new(make), context: None, batch: LlamaBatch::new(chunk, 1) }
    }
}

impl Reader for LlamaReader<'_> {
    fn read(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert((self.make)()?),
        };
        if position == 0 {
            context.clear_kv_cache();
        }
        self.batch.clear();
        for (offset, &token) in tokens.iter().enumerate() {
            let position = i32::try_from(position + offset).map_err(|error| error.to_string())?;
            self.batch.add(LlamaToken(token.cast_signed()), position, &[0], true).map_err(|error| error.to_string())?;
        }
        context.decode(&mut self.batch).map_err(|error| error.to_string())
    }

    fn vector(&self, index: usize) -> &[f32] {
        let context = self.context.as_ref().expect("something was read");
        context.embeddings_ith(index as i32).expect("every token of a pass has a vector")
    }
}
