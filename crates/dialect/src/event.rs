//! What a parser finds in an answer.

/// A part of an answer. The same kind may follow itself: the texts belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Text of the reasoning.
    Reasoning(String),
    /// Text of the answer.
    Content(String),
    /// A call begins. The caller gives it an id.
    Call {
        /// Its position among the answer's calls, from 0.
        index: u32,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments; together they are a JSON value, if the model wrote one.
    Arguments {
        /// The call that it belongs to.
        index: u32,
        /// The text.
        piece: String,
    },
}

/// Collects events, and merges those that belong together.
#[derive(Debug, Default)]
pub(crate) struct Output {
    events: Vec<Event>,
    calls: u32,
}

impl Output {
    pub(crate) fn reasoning(&mut self, text: &str) {
        match self.events.last_mut() {
            _ if text.is_empty() => {}
            Some(Event::Reasoning(last)) => last.push_str(text),
            _ => self.events.push(Event::Reasoning(text.to_owned())),
        }
    }

    pub(crate) fn content(&mut self, text: &str) {
        match self.events.last_mut() {
            _ if text.is_empty() => {}
            Some(Event::Content(last)) => last.push_str(text),
            _ => self.events.push(Event::Content(text.to_owned())),
        }
    }

    /// A call begins; the following arguments belong to it.
    pub(crate) fn call(&mut self, name: &str) {
        self.events.push(Event::Call { index: self.calls, name: name.to_owned() });
        self.calls += 1;
    }

    /// Arguments of the last call.
    pub(crate) fn arguments(&mut self, text: &str) {
        let index = self.calls.saturating_sub(1);
        match self.events.last_mut() {
            _ if text.is_empty() => {}
            Some(Event::Arguments { piece, .. }) => piece.push_str(text),
            _ => self.events.push(Event::Arguments { index, piece: text.to_owned() }),
        }
    }

    pub(crate) fn argument(&mut self, c: char) {
        self.arguments(c.encode_utf8(&mut [0; 4]));
    }

    pub(crate) fn has_called(&self) -> bool {
        self.calls > 0
    }

    /// Passes the events on.
    pub(crate) fn drain(&mut self, mut emit: impl FnMut(Event)) {
        self.events.drain(..).for_each(&mut emit);
    }
}
