//! Passes of the model that compute the vectors of a text's tokens.

use hostler_protocol::TokenId;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

/// A forward pass with a KV cache for one text. Tests replace it by a fake.
pub(crate) trait EmbeddingForward {
    /// Processes the tokens of a text from `position` on; position 0 starts a new text.
    ///
    /// # Errors
    /// The engine's message.
    fn feed(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String>;

    /// The vector of the `index`-th token of the last `feed`.
    fn vector(&self, index: usize) -> &[f32];
}

/// llama.cpp's context for embeddings. It is created for the first text, because most
/// servers never need it, and it has a KV cache of a whole context.
pub(crate) struct LlamaEmbeddingForward<'model> {
    create: Box<dyn Fn() -> Result<LlamaContext<'model>, String> + 'model>,
    context: Option<LlamaContext<'model>>,
    batch: LlamaBatch<'static>,
}

impl<'model> LlamaEmbeddingForward<'model> {
    /// `chunk`: maximum tokens of one pass.
    pub(crate) fn new(chunk: usize, create: impl Fn() -> Result<LlamaContext<'model>, String> + 'model) -> Self {
        Self { create: Box::new(create), context: None, batch: LlamaBatch::new(chunk, 1) }
    }
}

impl EmbeddingForward for LlamaEmbeddingForward<'_> {
    fn feed(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert((self.create)()?),
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
        let context = self.context.as_ref().expect("`feed` was called before");
        context.embeddings_ith(index as i32).expect("every token of a pass has a vector")
    }
}
