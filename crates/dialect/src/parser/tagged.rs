//! Calls with a tag for each argument, of which the arguments are converted to JSON.

use super::json::is_space;
use super::scan::Scanner;
use super::step::{Ending, HEAD_BYTES_MAX, NAME_BYTES_MAX, Step, is_name};
use super::value::{ArgumentValue, member};
use crate::event::Output;
use crate::format::{Kind, Tagged};
use crate::tool::Tool;

/// Parses the calls behind a format's opening tag.
#[derive(Debug)]
pub(crate) struct TaggedCalls {
    format: &'static Tagged,
    /// The text since the last call or argument.
    raw: String,
    scanner: Scanner,
    state: State,
    /// The name of the call.
    name: String,
    /// The call has no argument yet.
    is_first: bool,
    called: bool,
}

#[derive(Debug)]
enum State {
    Between,
    Name(String),
    /// Between two arguments.
    Arguments,
    Key(String),
    /// Behind a key, before its value.
    Colon(String, Kind),
    Value(ArgumentValue),
}

impl TaggedCalls {
    /// Behind `opening`, which is the tag with the whitespace before it.
    pub(crate) fn new(format: &'static Tagged, opening: String) -> Self {
        let state = if format.begin.is_some() { State::Between } else { State::Name(String::new()) };
        Self {
            format,
            raw: opening,
            scanner: Scanner::default(),
            state,
            name: String::new(),
            is_first: true,
            called: false,
        }
    }

    pub(crate) fn take_raw(&mut self) -> String {
        std::mem::take(&mut self.raw)
    }

    pub(crate) fn step(&mut self, c: char, tools: &[Tool], out: &mut Output) -> Step {
        let format = self.format;
        if !matches!(self.state, State::Value(_)) {
            self.raw.push(c);
            if self.raw.len() > HEAD_BYTES_MAX {
                return self.reject(out);
            }
        }
        let mut text = String::new();
        let between = [format.begin, format.close].into_iter().flatten();
        let name_ends = match format.name_end {
            Some(end) => [Some(end), None],
            None => [Some(format.key), Some(format.end)],
        };
        let tag = match &self.state {
            State::Between => self.scanner.step(c, &between, &mut text),
            State::Name(_) => self.scanner.step(c, &name_ends.into_iter().flatten(), &mut text),
            State::Arguments => self.scanner.step(c, &[format.key, format.end].into_iter(), &mut text),
            State::Key(_) => self.scanner.step(c, &format.key_ends.iter().map(|(end, _)| *end), &mut text),
            State::Colon(..) => self.scanner.step(c, &format.value.into_iter(), &mut text),
            State::Value(_) => self.scanner.step(c, &std::iter::once(format.value_end), &mut text),
        };
        if self.text(&text, out) == Step::Reject {
            return self.reject(out);
        }
        match tag.map_or(Step::More, |tag| self.tag(tag, tools, out)) {
            Step::Reject => self.reject(out),
            step => step,
        }
    }

    /// What follows is content. A call that has begun is complete.
    fn reject(&mut self, out: &mut Output) -> Step {
        if !matches!(self.state, State::Between | State::Name(_)) {
            out.arguments("}");
        }
        Step::Reject
    }

    /// Text that is no tag.
    fn text(&mut self, text: &str, out: &mut Output) -> Step {
        match &mut self.state {
            State::Between | State::Arguments | State::Colon(..) if text.chars().all(is_space) => {}
            State::Between | State::Arguments | State::Colon(..) => return Step::Reject,
            State::Name(name) | State::Key(name) => {
                name.push_str(text);
                if name.len() > NAME_BYTES_MAX {
                    return Step::Reject;
                }
            }
            State::Value(value) => out.arguments(&value.push(text)),
        }
        Step::More
    }

    fn tag(&mut self, tag: &str, tools: &[Tool], out: &mut Output) -> Step {
        let format = self.format;
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between if Some(tag) == format.begin => self.state = State::Name(String::new()),
            State::Between => return if self.called { Step::Done } else { Step::Reject },
            State::Name(name) => {
                let name = name.trim();
                if !is_name(name) {
                    return Step::Reject;
                }
                out.call(name);
                out.arguments("{");
                (self.called, self.is_first) = (true, true);
                name.clone_into(&mut self.name);
                self.raw.clear();
                self.state = State::Arguments;
                if format.name_end.is_none() {
                    return self.tag(tag, tools, out);
                }
            }
            State::Arguments if tag == format.key => self.state = State::Key(String::new()),
            State::Arguments => {
                out.arguments("}");
                self.raw.clear();
                if format.begin.is_none() {
                    return Step::Done;
                }
            }
            State::Key(key) => {
                let kind =
                    format.key_ends.iter().find(|(end, _)| *end == tag).map_or(Kind::BySchema, |(_, kind)| *kind);
                let key = key.trim().to_owned();
                match format.value {
                    Some(_) => self.state = State::Colon(key, kind),
                    None => self.value(&key, kind, tools, out),
                }
            }
            State::Colon(key, kind) => self.value(&key, kind, tools, out),
            State::Value(value) => {
                out.arguments(&value.end());
                self.state = State::Arguments;
            }
        }
        Step::More
    }

    /// A value begins.
    fn value(&mut self, key: &str, kind: Kind, tools: &[Tool], out: &mut Output) {
        let schema = tools.iter().find(|tool| tool.name == self.name).and_then(|tool| tool.property(key));
        out.arguments(&member(key, self.is_first));
        self.is_first = false;
        self.raw.clear();
        self.state = State::Value(ArgumentValue::new(kind, schema, self.format.lines));
    }

    pub(crate) fn finish(mut self, out: &mut Output) -> Ending {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between if self.called => Ending::complete(),
            State::Between | State::Name(_) => Ending::nameless(self.take_raw()),
            State::Arguments | State::Key(_) | State::Colon(..) => Ending::within(),
            State::Value(mut value) => {
                out.arguments(&value.push(&self.scanner.take()));
                out.arguments(&value.cut());
                Ending::within()
            }
        }
    }
}
