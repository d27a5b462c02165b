//! The simulated engine's tokenizer: bytes, a few special tokens, and 1024 made-up
//! words. Decoding an encoded text gives the same text.

use hostler_dialect::described;
use hostler_protocol::{Conversation, Role, TokenId};

use crate::text::{ByteDecoder, IncrementalDecoder};
use crate::{TextCodec, TextError};

/// The end-of-sequence token.
pub(super) const END: TokenId = 256;
/// The beginning-of-sequence token.
const BEGIN: TokenId = 257;
/// The token that begins a message of the assistant.
pub(super) const ASSISTANT: TokenId = END + 4;
/// The text of the special tokens, from [`END`] on.
const SPECIAL: [&str; 6] = ["<|end|>", "<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"];

/// Id of the first word.
pub(super) const FIRST_WORD: TokenId = END + SPECIAL.len() as TokenId;
/// Number of words: a power of two, as the choice of candidates requires.
pub(super) const WORDS: u32 = (SYLLABLES.len() * SYLLABLES.len()) as u32;
/// Token ids are below this.
pub(super) const VOCABULARY_SIZE: u32 = FIRST_WORD + WORDS;

/// A word is a space followed by two of these.
const SYLLABLES: [&[u8; 2]; 32] = [
    b"ba", b"be", b"bi", b"bo", b"da", b"de", b"di", b"do", b"ka", b"ke", b"ki", b"ko", b"la", b"le", b"li", b"lo",
    b"ma", b"me", b"mi", b"mo", b"na", b"ne", b"ni", b"no", b"ra", b"re", b"ri", b"ro", b"sa", b"se", b"si", b"so",
];
/// Bytes of a word.
const WORD_BYTES: usize = 5;

/// Tokenizer and chat template.
pub(super) struct Codec;

/// The content of a token.
enum Piece {
    Byte(u8),
    Special(&'static str),
    Word([u8; WORD_BYTES]),
}

impl Piece {
    fn of(id: TokenId) -> Result<Self, TextError> {
        if let Ok(byte) = u8::try_from(id) {
            return Ok(Self::Byte(byte));
        }
        if let Some(special) = SPECIAL.get((id - END) as usize) {
            return Ok(Self::Special(special));
        }
        let index = (id - FIRST_WORD) as usize;
        if index >= WORDS as usize {
            return Err(TextError::UnknownToken { id, vocabulary_size: VOCABULARY_SIZE });
        }
        let ([a, b], [c, d]) = (*SYLLABLES[index / SYLLABLES.len()], *SYLLABLES[index % SYLLABLES.len()]);
        Ok(Self::Word([b' ', a, b, c, d]))
    }
}

/// The word at the beginning of a text.
fn word_at(text: &[u8]) -> Option<TokenId> {
    let &[b' ', a, b, c, d] = text.first_chunk::<WORD_BYTES>()? else { return None };
    let syllable = |wanted: [u8; 2]| SYLLABLES.iter().position(|syllable| **syllable == wanted);
    let index = syllable([a, b])? * SYLLABLES.len() + syllable([c, d])?;
    Some(FIRST_WORD + index as TokenId)
}

/// The special token at the beginning of a text, and its length in bytes.
fn special_at(text: &[u8]) -> Option<(TokenId, usize)> {
    let index = SPECIAL.iter().position(|special| text.starts_with(special.as_bytes()))?;
    Some((END + index as TokenId, SPECIAL[index].len()))
}

impl TextCodec for Codec {
    fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError> {
        let mut tokens = Vec::with_capacity(text.len() / 2 + 1);
        if add_special {
            tokens.push(BEGIN);
        }
        let mut rest = text.as_bytes();
        while let [byte, ..] = *rest {
            let (token, length) = match special_at(rest) {
                Some(special) => special,
                None => word_at(rest).map_or((TokenId::from(byte), 1), |word| (word, WORD_BYTES)),
            };
            tokens.push(token);
            rest = &rest[length..];
        }
        Ok(tokens)
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError> {
        let mut decoder = Decoder::default();
        let text = tokens.iter().map(|&token| decoder.push(token)).collect::<Result<String, _>>()?;
        Ok(text + &decoder.flush())
    }

    fn piece(&self, token: TokenId) -> Result<Vec<u8>, TextError> {
        Ok(match Piece::of(token)? {
            Piece::Byte(byte) => vec![byte],
            Piece::Special(special) => special.as_bytes().to_vec(),
            Piece::Word(word) => word.to_vec(),
        })
    }

    fn render_chat(&self, chat: &Conversation) -> Result<String, TextError> {
        let chat = described(chat).map_err(|error| TextError::Template(format!("the tools: {error}")))?;
        let mut text = String::from(SPECIAL[(BEGIN - END) as usize]);
        for message in &chat.messages {
            text.push_str(role_token(message.role));
            if let Some(name) = &message.name {
                text.push_str(name);
                text.push_str(": ");
            }
            text.push_str(&message.content);
            text.push_str(SPECIAL[0]);
        }
        text.push_str(role_token(Role::Assistant));
        Ok(text)
    }
}

fn role_token(role: Role) -> &'static str {
    match role {
        Role::System => SPECIAL[2],
        Role::User => SPECIAL[3],
        Role::Assistant => SPECIAL[4],
        Role::Tool => SPECIAL[5],
    }
}

/// Decodes one token at a time.
#[derive(Default)]
pub(super) struct Decoder(ByteDecoder);

impl IncrementalDecoder for Decoder {
    fn push(&mut self, token: TokenId) -> Result<String, TextError> {
        Ok(match Piece::of(token)? {
            Piece::Byte(byte) => self.0.push_bytes(&[byte]),
            Piece::Special(_) => String::new(),
            Piece::Word(word) => self.0.push_bytes(&word),
        })
    }

    fn flush(&mut self) -> String {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ChatMessage;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_token_is_encoded_from_its_piece() {
        for id in (0..128).chain(END..VOCABULARY_SIZE) {
            let piece = Codec.piece(id).expect("it is in the vocabulary");
            let text = String::from_utf8(piece).expect("only bytes from 128 on are invalid");
            assert_eq!(Codec.encode(&text, false).expect("it encodes"), [id]);
        }
        assert!(Codec.piece(VOCABULARY_SIZE).is_err());
    }

    #[test]
    fn a_rendered_chat_contains_the_special_tokens() {
        let message = ChatMessage { name: Some("Ann".into()), ..ChatMessage::new(Role::User, "hi") };
        let text = Codec.render_chat(&vec![message].into()).expect("it renders");
        assert_eq!(text, "<|begin|><|user|>Ann: hi<|end|><|assistant|>");
        let tokens = Codec.encode(&text, false).expect("it encodes");
        assert_eq!((tokens[0], tokens[1], tokens.last()), (BEGIN, END + 3, Some(&(END + 4))));
    }

    proptest! {
        #[test]
        fn decoding_reverses_encoding(text in "( kalo|[ a-z]|\\PC){0,40}") {
            let tokens = Codec.encode(&text, true).expect("it encodes");
            prop_assert_eq!(Codec.decode(&tokens).expect("it decodes"), text);
        }
    }
}
