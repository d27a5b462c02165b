//! UTF-8 decoding of bytes that arrive in pieces.

use std::str;

/// Decodes bytes that arrive in arbitrary pieces. The concatenated texts equal
/// [`String::from_utf8_lossy`] of all the bytes.
#[derive(Clone, Debug, Default)]
pub struct ByteDecoder {
    /// An incomplete character: at most 3 bytes between calls.
    pending: Vec<u8>,
}

impl ByteDecoder {
    /// The text that `bytes` completes. An incomplete character is kept for the next
    /// call; invalid bytes become U+FFFD.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.pending.len());
        let mut rest = self.pending.as_slice();
        loop {
            let error = match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => error,
            };
            let (valid, after) = rest.split_at(error.valid_up_to());
            text.push_str(str::from_utf8(valid).expect("valid_up_to() bytes are valid UTF-8"));
            rest = after;
            let Some(invalid) = error.error_len() else { break };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[invalid..];
        }
        let consumed = self.pending.len() - rest.len();
        self.pending.drain(..consumed);
        text
    }

    /// The rest: U+FFFD for an incomplete character.
    pub fn flush(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_is_returned_once_it_is_complete() {
        let mut decoder = ByteDecoder::default();
        let crab = "🦀".as_bytes();
        assert_eq!(decoder.push_bytes(&crab[..3]), "");
        assert_eq!(decoder.push_bytes(&crab[3..]), "🦀");
        assert_eq!(decoder.push_bytes(b"a\xffb\xf0\x9f"), "a\u{fffd}b");
        assert_eq!(decoder.flush(), "\u{fffd}");
        assert_eq!(decoder.flush(), "");
    }

    /// Mostly text, with split and invalid characters.
    fn mixed_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            ".{0,3}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..3),
            Just("🦀".as_bytes()[..2].to_vec()),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_split_decodes_to_the_lossy_text(bytes in mixed_bytes(), piece_len in 1_usize..6) {
            let mut decoder = ByteDecoder::default();
            let mut text = String::new();
            for piece in bytes.chunks(piece_len) {
                text.push_str(&decoder.push_bytes(piece));
                prop_assert!(decoder.pending.len() <= 3);
            }
            text.push_str(&decoder.flush());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
