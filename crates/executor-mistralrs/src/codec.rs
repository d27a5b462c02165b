//! The model's tokenizer and chat template. The codec shares no locks with the engine, so
//! it never waits for a decode step.

use std::sync::Arc;

use hostler_executor::text::{ByteDecoder, IncrementalDecoder};
use hostler_executor::{TextCodec, TextError};
use hostler_executor_kit::ChatTemplate;
use hostler_protocol::{Conversation, Dialect, TokenId, ToolFormat};
use mistralrs::core::llguidance::toktrie::{TokEnv, TokTrie};
use tokenizers::Tokenizer;

/// A tokenizer and a chat template.
pub(crate) struct MistralrsCodec {
    tokenizer: Arc<Tokenizer>,
    vocabulary: Vocabulary,
    template: Option<ChatTemplate>,
}

/// The bytes of the tokens. Clones share them.
#[derive(Clone)]
struct Vocabulary {
    tokens: TokEnv,
    /// Some tokenizers add a space before a text and remove it when decoding.
    strips_first_space: bool,
    /// The special tokens that are tags of tool calls and reasoning, and so part of an answer's text.
    tags: Arc<[TokenId]>,
}

impl MistralrsCodec {
    pub(crate) fn new(
        tokenizer: Arc<Tokenizer>,
        tokens: TokEnv,
        template: Option<ChatTemplate>,
        tool_format: Option<ToolFormat>,
    ) -> Self {
        let special_token = |tag: &str| tokens.tok_trie().get_special_token(tag);
        let template = template.map(|template| template.of_model(tool_format, special_token));
        let tags = template.iter().flat_map(|template| template.dialect().special_tokens.values().copied()).collect();
        let mut vocabulary = Vocabulary { tokens, strips_first_space: false, tags };
        vocabulary.strips_first_space = strips_first_space(&tokenizer, &vocabulary);
        Self { tokenizer, vocabulary, template }
    }

    pub(crate) fn vocabulary_size(&self) -> u32 {
        self.vocabulary.size()
    }

    /// How the model writes tool calls and reasoning.
    pub(crate) fn dialect(&self) -> Dialect {
        self.template.as_ref().map(|template| template.dialect().clone()).unwrap_or_default()
    }

    pub(crate) fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// A decoder for one answer.
    pub(crate) fn incremental(&self) -> Box<dyn IncrementalDecoder> {
        Box::new(PieceDecoder::new(self.vocabulary.clone()))
    }
}

impl TextCodec for MistralrsCodec {
    fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError> {
        let encoding =
            self.tokenizer.encode_fast(text, add_special).map_err(|error| TextError::Tokenize(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError> {
        let mut decoder = PieceDecoder::new(self.vocabulary.clone());
        let mut text = String::new();
        for &token in tokens {
            text.push_str(&decoder.push(token)?);
        }
        text.push_str(&decoder.flush());
        Ok(text)
    }

    fn piece(&self, token: TokenId) -> Result<Vec<u8>, TextError> {
        Ok(match self.vocabulary.bytes(token)? {
            [TokTrie::SPECIAL_TOKEN_MARKER, name @ ..] => name.to_vec(),
            bytes => bytes.to_vec(),
        })
    }

    fn render_chat(&self, chat: &Conversation) -> Result<String, TextError> {
        self.template.as_ref().ok_or(TextError::NoChatTemplate)?.render(chat)
    }
}

impl Vocabulary {
    fn size(&self) -> u32 {
        u32::try_from(self.tokens.tok_trie().vocab_size()).expect("token ids are 32-bit")
    }

    /// The bytes of a token; those of a special token are its name, after a marker that is
    /// not valid UTF-8.
    fn bytes(&self, id: TokenId) -> Result<&[u8], TextError> {
        if id >= self.size() {
            return Err(TextError::UnknownToken { id, vocabulary_size: self.size() });
        }
        Ok(self.tokens.tok_trie().token(id))
    }

    /// The bytes of a token; none if it is a special token that is no tag.
    fn text_bytes(&self, id: TokenId) -> Result<&[u8], TextError> {
        Ok(match self.bytes(id)? {
            [TokTrie::SPECIAL_TOKEN_MARKER, name @ ..] if self.tags.contains(&id) => name,
            [TokTrie::SPECIAL_TOKEN_MARKER, ..] => &[],
            bytes => bytes,
        })
    }
}

/// Encodes and decodes a text that every tokenizer supports. Only the decoding of a whole
/// text shows whether the space is removed.
fn strips_first_space(tokenizer: &Tokenizer, vocabulary: &Vocabulary) -> bool {
    let Ok(encoding) = tokenizer.encode_fast("a", false) else { return false };
    let first_piece = encoding.get_ids().first().map(|&id| vocabulary.text_bytes(id));
    let begins_with_space = matches!(first_piece, Some(Ok([b' ', ..])));
    begins_with_space && tokenizer.decode(encoding.get_ids(), true).is_ok_and(|text| !text.starts_with(' '))
}

struct PieceDecoder {
    vocabulary: Vocabulary,
    decoder: ByteDecoder,
    /// Whether the next byte is the first of the text, and must be removed if it is a space.
    strip: bool,
}

impl PieceDecoder {
    fn new(vocabulary: Vocabulary) -> Self {
        let strip = vocabulary.strips_first_space;
        Self { vocabulary, decoder: ByteDecoder::default(), strip }
    }
}

impl IncrementalDecoder for PieceDecoder {
    fn push(&mut self, token: TokenId) -> Result<String, TextError> {
        let mut bytes = self.vocabulary.text_bytes(token)?;
        if self.strip && !bytes.is_empty() {
            self.strip = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        Ok(self.decoder.push_bytes(bytes))
    }

    fn flush(&mut self) -> String {
        self.decoder.flush()
    }
}
