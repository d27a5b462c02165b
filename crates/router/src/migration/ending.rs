//! The end of an answer that is whole, but whose scheduler died before it said so. Pure.

use hostler_protocol::FinishReason;

/// How it ended, and the text that was held back. `text` is that of all its tokens, of
/// which the reader has the first `shown_bytes`.
///
/// A stop sequence may have been completed by the very last token: then the answer ends
/// where the first of them to be complete begins (the longest of those, where several
/// are complete at once), and the reader has all of it.
pub(super) fn ending(text: &str, shown_bytes: usize, stops: &[String]) -> (FinishReason, String) {
    let first = stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()).map(|begin| (begin + stop.len(), begin)))
        .min();
    let (reason, end) = match first {
        Some((_, begin)) => (FinishReason::Stop, begin),
        None => (FinishReason::Length, text.len()),
    };
    (reason, text.get(shown_bytes..end).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|&stop| stop.to_owned()).collect()
    }

    #[test]
    fn what_was_held_back_is_given() {
        assert_eq!(ending("one two EN", 8, &stops(&["END"])), (FinishReason::Length, "EN".to_owned()));
        assert_eq!(ending("one\u{fffd}", 3, &[]), (FinishReason::Length, "\u{fffd}".to_owned()));
        assert_eq!(ending("one", 3, &[]), (FinishReason::Length, String::new()));
    }

    #[test]
    fn a_stop_sequence_that_the_last_token_completed_ends_it() {
        assert_eq!(ending("one END", 4, &stops(&["END"])), (FinishReason::Stop, String::new()));
        assert_eq!(ending("xabc", 1, &stops(&["c", "abc"])), (FinishReason::Stop, String::new()));
        assert_eq!(ending("one END", 2, &stops(&["END"])), (FinishReason::Stop, "e ".to_owned()));
    }
}
