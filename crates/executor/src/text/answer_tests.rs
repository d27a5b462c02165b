//! For every split into tokens, the sent text is the text up to the first stop sequence.

use proptest::prelude::*;

use super::*;
use crate::text::ByteDecoder;

/// Decodes tokens that are indices into a list of byte strings.
struct Pieces {
    pieces: Vec<Vec<u8>>,
    decoder: ByteDecoder,
}

impl IncrementalDecoder for Pieces {
    fn push(&mut self, token: TokenId) -> Result<String, TextError> {
        let vocabulary_size = self.pieces.len() as u32;
        let piece = self.pieces.get(token as usize).ok_or(TextError::UnknownToken { id: token, vocabulary_size })?;
        Ok(self.decoder.push_bytes(piece))
    }

    fn flush(&mut self) -> String {
        self.decoder.flush()
    }
}

/// An answer over `pieces`, of which the first `answered` were already delivered.
fn answer(pieces: &[Vec<u8>], stop: &StopConditions, end_of_sequence: &[TokenId], answered: usize) -> Answer {
    let decoder = Box::new(Pieces { pieces: pieces.to_vec(), decoder: ByteDecoder::default() });
    let answered: Vec<TokenId> = (0..answered as TokenId).collect();
    Answer::new(decoder, stop, end_of_sequence, &answered).expect("the answered tokens are known")
}

/// The rule, implemented naively: find the first end of any stop sequence, take the
/// longest of those that end there, and return the text before it.
fn cut(text: &str, stops: &[String]) -> (String, bool) {
    for end in 1..=text.len() {
        let found =
            stops.iter().filter(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes())).map(String::len).max();
        if let Some(length) = found {
            return (text[..end - length].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

/// Length of the text that must be held back: its longest suffix that is a proper
/// prefix of a stop sequence.
fn held(text: &str, stops: &[String]) -> usize {
    let starts =
        |start: usize| stops.iter().any(|stop| stop.len() > text.len() - start && stop.starts_with(&text[start..]));
    (0..text.len()).find(|&start| text.is_char_boundary(start) && starts(start)).map_or(0, |start| text.len() - start)
}

/// Pushes the tokens of `range`; returns whether a stop sequence ended the answer.
fn run(answer: &mut Answer, range: std::ops::Range<usize>, shown: &mut String) -> bool {
    for token in range {
        match answer.push(token as TokenId).expect("the token is known") {
            Verdict::Show(text) => shown.push_str(&text),
            Verdict::StopSequence(text) => {
                shown.push_str(&text);
                return true;
            }
            Verdict::EndOfSequence(_) => panic!("no token ends the sequence here"),
        }
    }
    false
}

/// A text over a small alphabet, so that stop sequences occur, in pieces that split
/// characters; and stop sequences over the same alphabet.
fn case() -> impl Strategy<Value = (Vec<Vec<u8>>, StopConditions)> {
    let lengths = proptest::collection::vec(1_usize..5, 1..40);
    let stops = proptest::collection::vec("[abé🦀]{1,4}", 0..4);
    ("[abé🦀]{0,30}", lengths, stops).prop_map(|(text, lengths, sequences)| {
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for length in lengths.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        (pieces, StopConditions { sequences, ..StopConditions::default() })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_sent_text_is_cut_at_the_first_stop_sequence((pieces, stop) in case(), cut_at in any::<prop::sample::Index>()) {
        let text = String::from_utf8(pieces.concat()).expect("the text is UTF-8");
        let (expected, stops) = cut(&text, &stop.sequences);

        // One engine runs up to some token, then another one continues.
        let border = cut_at.index(pieces.len() + 1);
        let mut shown = String::new();
        let mut first = answer(&pieces, &stop, &[], 0);
        let mut stopped = run(&mut first, 0..border, &mut shown);
        let mut second = answer(&pieces, &stop, &[], border);
        prop_assert_eq!(second.is_over(), stopped);
        if !stopped {
            stopped = run(&mut second, border..pieces.len(), &mut shown);
        }
        if !stopped {
            shown.push_str(&second.finish());
        }
        prop_assert_eq!(stopped, stops);
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn only_partial_stop_sequences_are_held_back((pieces, stop) in case()) {
        let mut answer = answer(&pieces, &stop, &[], 0);
        let mut shown = String::new();
        for token in 0..pieces.len() {
            if run(&mut answer, token..token + 1, &mut shown) {
                break;
            }
            let bytes = pieces[..=token].concat();
            let complete = match std::str::from_utf8(&bytes) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid so far"),
            };
            prop_assert_eq!(shown.len(), complete.len() - held(complete, &stop.sequences));
        }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn end_of_sequence_returns_the_held_back_text() {
    let pieces = words(&["so ", "EN", "</s>"]);
    let stop = StopConditions { sequences: vec!["END".into()], ..StopConditions::default() };
    let mut answer = answer(&pieces, &stop, &[2], 0);
    assert_eq!(answer.push(0).expect("known"), Verdict::Show("so ".into()));
    assert_eq!(answer.push(1).expect("known"), Verdict::Show(String::new()));
    assert_eq!(answer.push(2).expect("known"), Verdict::EndOfSequence("EN".into()));
    assert!(answer.is_over());
}

#[test]
fn ending_tokens_are_banned_before_min_tokens() {
    let pieces = words(&["a", "b", "</s>"]);
    let stop = StopConditions { min_tokens: 3, token_ids: vec![1], ..StopConditions::default() };
    let mut answer = answer(&pieces, &stop, &[2], 1);
    assert_eq!(answer.banned().collect::<Vec<_>>(), [2, 1]);
    assert_eq!(answer.push(1).expect("known"), Verdict::Show("b".into()));
    assert!(answer.bans_any());
    assert_eq!(answer.push(0).expect("known"), Verdict::Show("a".into()));
    assert!(!answer.bans_any());
    assert_eq!(answer.push(1).expect("known"), Verdict::EndOfSequence(String::new()));
}

#[test]
fn an_ignored_end_of_sequence_is_banned_unless_it_is_a_stop_token() {
    let pieces = words(&["a", "</s>", "<end>"]);
    let mut stop = StopConditions { ignore_eos: true, ..StopConditions::default() };
    assert_eq!(answer(&pieces, &stop, &[1, 2], 0).banned().collect::<Vec<_>>(), [1, 2]);
    stop.token_ids = vec![2];
    let mut answer = answer(&pieces, &stop, &[1, 2], 0);
    assert_eq!(answer.banned().collect::<Vec<_>>(), [1]);
    assert_eq!(answer.push(2).expect("known"), Verdict::EndOfSequence(String::new()));
}

#[test]
fn an_unknown_token_is_an_error() {
    let mut answer = answer(&words(&["a"]), &StopConditions::default(), &[], 0);
    assert!(matches!(answer.push(7), Err(TextError::UnknownToken { id: 7, vocabulary_size: 1 })));
}
