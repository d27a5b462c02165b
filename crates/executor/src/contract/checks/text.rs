//! Checks of the tokenizer and the chat template.

use hostler_protocol::{ChatMessage, Conversation, Role};

use crate::TextError;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// Texts that tokenizers often get wrong.
const HARD_TEXTS: [&str; 10] = [
    "",
    "plain words, with punctuation.",
    "  leading, trailing and   inner spaces  ",
    "line\nbreaks\r\nand\ttabs\n\n",
    "emoji 🦀👩‍👩‍👧‍👦 with joiners",
    "漢字かな交じり文と한국어",
    "שלום עליכם",
    "control \u{1}\u{7f}\u{0} characters",
    "combining e\u{301} and Zalgo z\u{351}\u{36b}",
    "0123456789 <tags> {\"json\": [1, 2]} \\escapes\\",
];

pub(super) fn round_trip(subject: &Subject) -> Result<(), Violation> {
    let codec = subject.executor().text();
    for text in HARD_TEXTS {
        let tokens = codec.encode(text, false).map_err(|error| Violation(format!("{text:?}: {error}")))?;
        let vocabulary_size = subject.description().vocabulary_size;
        ensure!(
            tokens.iter().all(|&token| token < vocabulary_size),
            "{text:?} is encoded as {tokens:?}, outside the vocabulary of {vocabulary_size}"
        );
        let back = codec.decode(&tokens).map_err(|error| Violation(format!("{text:?}: {error}")))?;
        ensure!(back == text, "{text:?} is decoded as {back:?}");
        for &token in &tokens {
            let piece =
                codec.piece(token).map_err(|error| Violation(format!("token {token} has no piece: {error}")))?;
            ensure!(!piece.is_empty(), "the piece of token {token} of {text:?} is empty");
        }
    }
    Ok(())
}

pub(super) fn unknown_tokens(subject: &Subject) -> Result<(), Violation> {
    let codec = subject.executor().text();
    for id in [subject.description().vocabulary_size, u32::MAX] {
        let decoded = codec.decode(&[id]);
        ensure!(matches!(decoded, Err(TextError::UnknownToken { .. })), "token {id} is decoded as {decoded:?}");
        let piece = codec.piece(id);
        ensure!(matches!(piece, Err(TextError::UnknownToken { .. })), "token {id} has the piece {piece:?}");
    }
    Ok(())
}

pub(super) fn chat(subject: &Subject) -> Result<(), Violation> {
    let messages = [(Role::System, "You answer in one word."), (Role::User, "What colour is a ripe lemon?")];
    let chat = Conversation::from(messages.map(|(role, content)| ChatMessage::new(role, content)).to_vec());
    let rendered = subject.executor().text().render_chat(&chat);
    if !subject.description().capabilities.chat {
        ensure!(matches!(rendered, Err(TextError::NoChatTemplate)), "without a template it renders {rendered:?}");
        return Ok(());
    }
    let rendered = rendered.map_err(|error| Violation(format!("cannot render a chat: {error}")))?;
    for message in &chat.messages {
        ensure!(rendered.contains(&message.content), "{:?} is missing in {rendered:?}", message.content);
    }
    Ok(())
}

pub(super) fn streamed(subject: &Subject) -> Result<(), Violation> {
    for sequence in subject.greedy_all()? {
        let completed = subject.run(sequence)?;
        let decoded = subject.executor().text().decode(&completed.ids());
        let decoded = decoded.map_err(|error| Violation(format!("cannot decode its own tokens: {error}")))?;
        ensure!(completed.text() == decoded, "{:?} was streamed, but decoding gives {decoded:?}", completed.text());
    }
    Ok(())
}
