//! An incremental parser of server-sent events.
//!
//! Written by hand: the published parsers do not bound the size of an event, and work on a
//! stream that yields events one by one, whereas the arrival time of a frame applies to all
//! events in it.

/// Longest event, in bytes; a completion chunk has a few hundred. A server that never ends
/// an event must not exhaust memory.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The name; empty for an unnamed event.
    pub name: String,
    /// The data, with lines joined by line feeds.
    pub data: String,
}

/// An event exceeds the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {EVENT_BYTES_MAX} bytes")]
pub struct EventTooLong;

/// Parses a stream in pieces of any size by the rules of the HTML standard ("Interpreting an
/// event stream"): lines end in LF, CR or CRLF; an empty line ends an event; an event
/// without data is ignored, and so are comments, `id` and `retry`.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The last byte was a CR: an LF after it belongs to the same line end.
    after_cr: bool,
    event: SseEvent,
    has_data: bool,
}

impl SseParser {
    /// Parses the next piece and calls `on_event` for every event that it completes.
    ///
    /// # Errors
    /// [`EventTooLong`]; the rest of the stream cannot be parsed.
    pub fn push(&mut self, piece: &[u8], mut on_event: impl FnMut(SseEvent)) -> Result<(), EventTooLong> {
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = false;
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&rest[..end]);
            let ended_by = rest[end];
            rest = &rest[end + 1..];
            if ended_by == b'\r' {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            if let Some(event) = self.end_line() {
                on_event(event);
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// Parses a complete line. Returns the event that it ends, if any.
    fn end_line(&mut self) -> Option<SseEvent> {
        let line = String::from_utf8_lossy(&self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.event.name),
            _ => {}
        }
        self.line.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, |event| events.push((event.name, event.data))).expect("the events are short");
        }
        events
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn fields_comments_and_line_ends_follow_the_standard() {
        let stream =
            b": hello\r\n\r\ndata: one\r\n\r\nevent: error\rdata:two\rdata\rdata:  three\r\rid: 5\n\ndata: cut";
        assert_eq!(events(&[stream]), [event("", "one"), event("error", "two\n\n three")]);
        assert_eq!(events(&[b": server-timing total;dur=1\ndata: [DONE]\n\n"]), [event("", "[DONE]")]);
    }

    #[test]
    fn an_event_above_the_size_limit_is_refused() {
        let mut parser = SseParser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2 + 1];
        assert_eq!(parser.push(&piece, drop), Ok(()));
        assert_eq!(parser.push(&piece, drop), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn piece_boundaries_make_no_difference(lines in prop::collection::vec("(data|event)?:? ?[a-zé]{0,4}(\r|\n|\r\n){1,2}", 0..12),
                                   cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let stream = lines.concat().into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&pieces), events(&[&stream]));
        }
    }
}
