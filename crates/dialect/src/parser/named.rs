//! Calls that are a name, followed by the arguments in JSON.

use super::json::{Place, Value, is_space};
use super::scan::Scanner;
use super::step::{Ending, HEAD_BYTES_MAX, NAME_BYTES_MAX, Step, is_name};
use crate::event::Output;
use crate::format::Named;

/// Parses the calls behind a format's opening tag.
#[derive(Debug)]
pub(crate) struct NamedCalls {
    format: &'static Named,
    /// The text since the last call.
    raw: String,
    scanner: Scanner,
    state: State,
    called: bool,
}

#[derive(Debug)]
enum State {
    Between,
    Name(String),
    Arguments(Value),
    /// Behind the arguments.
    End,
}

impl NamedCalls {
    /// Behind `opening`, which is the tag with the whitespace before it.
    pub(crate) fn new(format: &'static Named, opening: String) -> Self {
        let state = if format.begin.is_some() { State::Between } else { State::Name(String::new()) };
        Self { format, raw: opening, scanner: Scanner::default(), state, called: false }
    }

    pub(crate) fn take_raw(&mut self) -> String {
        std::mem::take(&mut self.raw)
    }

    pub(crate) fn step(&mut self, c: char, out: &mut Output) -> Step {
        let format = self.format;
        if !matches!(self.state, State::Arguments(_)) {
            self.raw.push(c);
            if self.raw.len() > HEAD_BYTES_MAX {
                return Step::Reject;
            }
        }
        let mut text = String::new();
        let between = [format.begin, format.close].into_iter().flatten();
        let behind = [format.end, format.fence, format.begin, format.close].into_iter().flatten();
        let tag = match &self.state {
            State::Between => self.scanner.step(c, &between, &mut text),
            State::Name(_) => self.scanner.step(c, &std::iter::once(format.separator), &mut text),
            // Within a string, a tag is a part of the string.
            State::Arguments(value) if value.is_in_string() => {
                text.push(c);
                None
            }
            State::Arguments(_) => self.scanner.step(c, &format.end.into_iter(), &mut text),
            State::End => self.scanner.step(c, &behind, &mut text),
        };
        match self.text(&text, out) {
            Step::More => tag.map_or(Step::More, |tag| self.tag(tag, out)),
            end => end,
        }
    }

    /// Text that is no tag.
    fn text(&mut self, text: &str, out: &mut Output) -> Step {
        for c in text.chars() {
            match &mut self.state {
                State::Between | State::End if is_space(c) => {}
                State::Between | State::End => return Step::Reject,
                State::Name(name) => {
                    name.push(c);
                    if name.len() > NAME_BYTES_MAX {
                        return Step::Reject;
                    }
                }
                State::Arguments(value) => match value.step(c) {
                    Place::Before => {}
                    Place::Inside => out.argument(c),
                    Place::Last => {
                        out.argument(c);
                        self.state = State::End;
                        if self.format.end.is_none() {
                            return Step::Done;
                        }
                    }
                    Place::After => {
                        self.state = State::End;
                        if !is_space(c) || self.format.end.is_none() {
                            self.raw.push(c);
                            return Step::Reject;
                        }
                    }
                },
            }
        }
        Step::More
    }

    fn tag(&mut self, tag: &str, out: &mut Output) -> Step {
        let is = |expected: Option<&str>| expected == Some(tag);
        match &self.state {
            State::Name(text) => {
                let Some(name) = name(text, self.format.name) else { return Step::Reject };
                out.call(name);
                self.called = true;
                self.state = State::Arguments(Value::default());
                self.raw.clear();
            }
            State::End if is(self.format.fence) => {}
            State::Between | State::End if is(self.format.close) => {
                return if self.called { Step::Done } else { Step::Reject };
            }
            State::Between | State::End if is(self.format.begin) => self.state = State::Name(String::new()),
            State::Between | State::Arguments(_) | State::End => {
                if let State::Arguments(value) = &self.state
                    && !value.has_begun()
                {
                    out.arguments("{}");
                }
                self.raw.clear();
                if self.format.begin.is_none() {
                    return Step::Done;
                }
                self.state = State::Between;
            }
        }
        Step::More
    }

    pub(crate) fn finish(mut self, out: &mut Output) -> Ending {
        match self.state {
            State::Between if self.called => Ending::complete(),
            State::Between | State::Name(_) => Ending::nameless(self.take_raw()),
            State::Arguments(_) => {
                out.arguments(&self.scanner.take());
                Ending::within()
            }
            State::End => Ending::complete(),
        }
    }
}

/// The name in the text before the arguments.
fn name<'a>(text: &'a str, (before, after): (&str, &str)) -> Option<&'a str> {
    let text = if before.is_empty() { text } else { text.split_once(before).map_or(text, |(_, name)| name) };
    let text = if after.is_empty() { text } else { text.split_once(after).map_or(text, |(name, _)| name) };
    Some(text.trim()).filter(|name| is_name(name))
}
