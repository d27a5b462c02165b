//! The content blocks of an answer, and the events that stream them. Pure.

use super::events::{ContentBlock, Delta, Event};

/// The blocks that a stream has opened. Blocks follow one another: each is closed before the next
/// one opens, and one without content is never opened.
#[derive(Default)]
pub(super) struct Blocks {
    /// The index of the open block, or of the next one.
    index: u32,
    is_open: bool,
}

impl Blocks {
    /// The events that add `text`.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let index = self.index;
        let opens = !text.is_empty() && !std::mem::replace(&mut self.is_open, true);
        let start = opens.then_some(Event::ContentBlockStart { index, content_block: ContentBlock::Text { text: "" } });
        let delta = (!text.is_empty()).then_some(Event::ContentBlockDelta { index, delta: Delta::TextDelta { text } });
        start.into_iter().chain(delta)
    }

    /// The event that closes the open block, if there is one.
    pub(super) fn close(&mut self) -> Option<Event<'static>> {
        let index = self.index;
        std::mem::take(&mut self.is_open).then(|| {
            self.index += 1;
            Event::ContentBlockStop { index }
        })
    }
}

/// The blocks of a whole answer.
pub(super) fn whole(text: &str) -> Vec<ContentBlock<'_>> {
    if text.is_empty() { Vec::new() } else { vec![ContentBlock::Text { text }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the blocks that the events describe.
    fn assemble(events: &[Event<'_>]) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        let mut open = None;
        for event in events {
            match event {
                Event::ContentBlockStart { index, content_block: ContentBlock::Text { text } } => {
                    assert_eq!((open, *index as usize), (None, texts.len()), "it opens after the others");
                    open = Some(*index);
                    texts.push((*text).to_owned());
                }
                Event::ContentBlockDelta { index, delta: Delta::TextDelta { text } } => {
                    assert_eq!(open, Some(*index), "the delta is for the open block");
                    texts.last_mut().expect("a block is open").push_str(text);
                }
                Event::ContentBlockStop { index } => assert_eq!(open.take(), Some(*index), "it was open"),
                other => panic!("an event of something else: {}", other.name()),
            }
        }
        assert_eq!(open, None, "every block is closed");
        texts
    }

    #[test]
    fn streamed_blocks_equal_whole_ones_however_the_text_is_cut() {
        for pieces in [&["one", " two", "", " three"][..], &["", "a"], &["", ""], &[]] {
            let mut blocks = Blocks::default();
            let mut events = Vec::new();
            for piece in pieces {
                events.extend(blocks.text(piece));
            }
            events.extend(blocks.close());
            events.extend(blocks.close());
            let text = pieces.concat();
            let expected: Vec<&str> = whole(&text).iter().map(|ContentBlock::Text { text }| *text).collect();
            assert_eq!(assemble(&events), expected, "{pieces:?}");
        }
    }
}
