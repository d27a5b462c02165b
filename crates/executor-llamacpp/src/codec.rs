//! Tokenizer and chat template from the GGUF file. The codec shares the model with the
//! engine and never waits for it.

use std::sync::Arc;

use hostler_executor::text::{ByteDecoder, IncrementalDecoder};
use hostler_executor::{TextCodec, TextError};
use hostler_executor_kit::ChatTemplate;
use hostler_protocol::{Conversation, Dialect, TokenId, ToolFormat};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

/// The model's tokenizer and chat template.
pub(crate) struct LlamaCodec {
    vocabulary: Vocabulary,
    template: Option<ChatTemplate>,
}

/// The bytes of the tokens. Clones share the model.
#[derive(Clone)]
struct Vocabulary {
    model: Arc<LlamaModel>,
    size: u32,
    /// The special tokens that are tags of tool calls and reasoning, and so part of an answer's text.
    tags: Arc<[TokenId]>,
}

impl Vocabulary {
    /// Appends the bytes of a token; those of a special token only if `special`.
    fn append(&self, id: TokenId, special: bool, bytes: &mut Vec<u8>) -> Result<(), TextError> {
        if id >= self.size {
            return Err(TextError::UnknownToken { id, vocabulary_size: self.size });
        }
        self.model.vocab().token_to_piece_into(LlamaToken(id.cast_signed()), bytes, special, None);
        Ok(())
    }

    /// Appends the text of a token; nothing for a special token that is no tag.
    fn append_text(&self, id: TokenId, bytes: &mut Vec<u8>) -> Result<(), TextError> {
        self.append(id, self.tags.contains(&id), bytes)
    }

    /// The special token with this text.
    fn special_token(&self, text: &str) -> Option<TokenId> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, true);
        let &[LlamaToken(id)] = tokens.as_slice() else { return None };
        let (id, mut bytes) = (id.cast_unsigned(), Vec::new());
        self.append(id, false, &mut bytes).ok()?;
        bytes.is_empty().then_some(id)
    }
}

impl LlamaCodec {
    /// The codec of a loaded model.
    ///
    /// # Errors
    /// What is wrong with the model's chat template.
    pub(crate) fn new(model: Arc<LlamaModel>, tool_format: Option<ToolFormat>) -> Result<Self, String> {
        let size = model.n_vocab().unsigned_abs();
        let template = chat_template(&model)?;
        let mut vocabulary = Vocabulary { model, size, tags: Arc::default() };
        let template = template.map(|template| template.of_model(tool_format, |tag| vocabulary.special_token(tag)));
        if let Some(template) = &template {
            vocabulary.tags = template.dialect().special_tokens.values().copied().collect();
        }
        Ok(Self { vocabulary, template })
    }

    /// How the model writes tool calls and reasoning.
    pub(crate) fn dialect(&self) -> Dialect {
        self.template.as_ref().map(|template| template.dialect().clone()).unwrap_or_default()
    }

    pub(crate) fn vocabulary_size(&self) -> u32 {
        self.vocabulary.size
    }

    pub(crate) fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// A decoder for one answer.
    pub(crate) fn incremental(&self) -> Box<dyn IncrementalDecoder> {
        Box::new(PieceDecoder {
            vocabulary: self.vocabulary.clone(),
            piece: Vec::new(),
            decoder: ByteDecoder::default(),
        })
    }

    /// All tokens that end a generation: end of sequence, of turn, of message.
    pub(crate) fn end_tokens(&self) -> Vec<TokenId> {
        let vocab = self.vocabulary.model.vocab();
        (0..self.vocabulary.size).filter(|id| vocab.is_eog(LlamaToken(id.cast_signed()))).collect()
    }
}

impl TextCodec for LlamaCodec {
    fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError> {
        if i32::try_from(text.len()).is_err() {
            return Err(TextError::Tokenize("the text is longer than 2 GiB".into()));
        }
        let tokens = self.vocabulary.model.vocab().tokenize(text.as_bytes(), add_special, true);
        Ok(tokens.into_iter().map(|token| token.0.cast_unsigned()).collect())
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError> {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for &id in tokens {
            self.vocabulary.append_text(id, &mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn piece(&self, token: TokenId) -> Result<Vec<u8>, TextError> {
        let mut bytes = Vec::new();
        self.vocabulary.append(token, true, &mut bytes)?;
        Ok(bytes)
    }

    fn render_chat(&self, chat: &Conversation) -> Result<String, TextError> {
        self.template.as_ref().ok_or(TextError::NoChatTemplate)?.render(chat)
    }
}

struct PieceDecoder {
    vocabulary: Vocabulary,
    /// Buffer for the bytes of one token.
    piece: Vec<u8>,
    decoder: ByteDecoder,
}

impl IncrementalDecoder for PieceDecoder {
    fn push(&mut self, token: TokenId) -> Result<String, TextError> {
        self.piece.clear();
        self.vocabulary.append_text(token, &mut self.piece)?;
        Ok(self.decoder.push_bytes(&self.piece))
    }

    fn flush(&mut self) -> String {
        self.decoder.flush()
    }
}

/// The model's chat template; `None` if it has none.
fn chat_template(model: &LlamaModel) -> Result<Option<ChatTemplate>, String> {
    let Ok(source) = model.chat_template(None) else { return Ok(None) };
    let source = source.to_str().map_err(|error| format!("the model's chat template is not text: {error}"))?;
    let vocab = model.vocab();
    // The id is -1 if the vocabulary has no such token.
    let text = |token: LlamaToken| {
        if token.0 < 0 {
            return String::new();
        }
        String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned()
    };
    ChatTemplate::compile(source, text(vocab.bos()), text(vocab.eos())).map(Some)
}
