//! Calls that are JSON objects with the tool's name.

use super::head::{Found, Head};
use super::json::{Place, Value, is_space};
use super::scan::Scanner;
use super::step::{Ending, HEAD_BYTES_MAX, Step};
use crate::event::Output;
use crate::format::{List, Objects};
use crate::tool::Tool;

/// Parses the calls behind a format's opening tag.
#[derive(Debug)]
pub(crate) struct ObjectCalls {
    format: &'static Objects,
    /// It began with an object instead of the tag: only a known tool's is a call.
    bare: bool,
    /// The text since the last call.
    raw: String,
    scanner: Scanner,
    state: State,
    called: bool,
}

#[derive(Debug)]
enum State {
    Between,
    Head(Head),
    Arguments(Value),
    /// Behind the arguments, in the object.
    Rest(Value),
}

impl ObjectCalls {
    /// Behind `opening`, which is the tag with the whitespace before it.
    pub(crate) fn tagged(format: &'static Objects, opening: String) -> Self {
        Self { format, bare: false, raw: opening, scanner: Scanner::default(), state: State::Between, called: false }
    }

    /// Behind `opening`, which ends with the brace of an object.
    pub(crate) fn bare(format: &'static Objects, opening: String) -> Self {
        Self { bare: true, state: State::Head(Head::default()), ..Self::tagged(format, opening) }
    }

    pub(crate) fn take_raw(&mut self) -> String {
        std::mem::take(&mut self.raw)
    }

    pub(crate) fn step(&mut self, c: char, tools: &[Tool], out: &mut Output) -> Step {
        if matches!(self.state, State::Between | State::Head(_)) {
            self.raw.push(c);
            if self.raw.len() > HEAD_BYTES_MAX {
                return Step::Reject;
            }
        }
        // A closing tag within a string is part of the string; elsewhere it is no JSON.
        let in_string = match &self.state {
            State::Between => false,
            State::Head(head) => head.is_in_string(),
            State::Arguments(value) | State::Rest(value) => value.is_in_string(),
        };
        let mut text = String::new();
        match self.format.close {
            Some(close) if !in_string => {
                if self.scanner.step(c, &[close].into_iter(), &mut text).is_some() {
                    return self.close(out);
                }
            }
            _ => text.push(c),
        }
        for c in text.chars() {
            match self.character(c, tools, out) {
                Step::More => {}
                end => return end,
            }
        }
        Step::More
    }

    /// Behind an object. A single one without closing tag ends the calls.
    fn end(&mut self) -> Step {
        self.state = State::Between;
        let is_last = self.format.list == List::Each && self.format.close.is_none() && !self.format.bare;
        if is_last { Step::Done } else { Step::More }
    }

    /// At the closing tag.
    fn close(&self, out: &mut Output) -> Step {
        match &self.state {
            State::Between if self.called => Step::Done,
            State::Between | State::Head(_) => Step::Reject,
            State::Arguments(value) => {
                if !value.has_begun() {
                    out.arguments("{}");
                }
                Step::Done
            }
            State::Rest(_) => Step::Done,
        }
    }

    fn character(&mut self, c: char, tools: &[Tool], out: &mut Output) -> Step {
        match &mut self.state {
            State::Between => match c {
                '{' => self.state = State::Head(Head::default()),
                ']' if self.format.list == List::Array && self.format.close.is_none() => {
                    return if self.called { Step::Done } else { Step::Reject };
                }
                '[' | ']' | ',' | ';' => {}
                _ if is_space(c) => {}
                _ => return Step::Reject,
            },
            State::Head(_) => return self.head(c, tools, out),
            State::Arguments(value) => match value.step(c) {
                Place::Before => {}
                Place::Inside => out.argument(c),
                Place::Last => {
                    out.argument(c);
                    self.state = State::Rest(Value::in_object());
                }
                Place::After => {
                    self.state = State::Rest(Value::in_object());
                    return self.character(c, tools, out);
                }
            },
            State::Rest(value) => {
                if value.step(c) == Place::Last {
                    return self.end();
                }
            }
        }
        Step::More
    }

    fn head(&mut self, c: char, tools: &[Tool], out: &mut Output) -> Step {
        let State::Head(head) = &mut self.state else { return Step::Reject };
        let found = head.step(c, self.format, !self.bare);
        let is_known = |name: &str| tools.iter().any(|tool| tool.name == name);
        if self.bare && head.name().is_some_and(|name| !is_known(name)) {
            return Step::Reject;
        }
        match found {
            Found::More => return Step::More,
            Found::Nothing => return Step::Reject,
            Found::Call(name) => {
                out.call(&name);
                self.state = State::Arguments(Value::default());
            }
            Found::Late { name, arguments } => {
                out.call(&name);
                out.arguments(&arguments);
                self.state = State::Rest(Value::in_object());
            }
            Found::Bare(name) => {
                out.call(&name);
                out.arguments("{}");
            }
        }
        self.called = true;
        self.raw.clear();
        if matches!(self.state, State::Head(_)) { self.end() } else { Step::More }
    }

    pub(crate) fn finish(mut self) -> Ending {
        match self.state {
            State::Between if self.called => Ending::complete(),
            State::Between | State::Head(_) => Ending::nameless(self.take_raw()),
            State::Arguments(_) => Ending::within(),
            State::Rest(_) => Ending::complete(),
        }
    }
}
