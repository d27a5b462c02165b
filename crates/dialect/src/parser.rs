//! Splits an answer into reasoning, content and calls while it is generated.
//!
//! The parser takes one character at a time, so that its events do not depend on how the text
//! is cut. It holds text back only while it may be a part of a tag, of whitespace next to one,
//! or of a call whose name is not known yet; each has a bound.

mod harmony;
mod head;
mod json;
mod named;
mod objects;
mod scan;
mod step;
mod tagged;
mod text;
mod value;

use std::sync::Arc;

use hostler_protocol::{Dialect, ReasoningFormat, ToolFormat};

pub(crate) use self::harmony::MARKERS as HARMONY;
use self::harmony::Messages;
use self::named::NamedCalls;
use self::objects::ObjectCalls;
use self::step::{Ending, Step};
use self::tagged::TaggedCalls;
use self::text::{Found, Text};
use crate::event::{Event, Output};
use crate::format::{self, Shape};
use crate::tool::Tool;

/// Splits one answer. See `docs/tools.md` for the rules.
#[derive(Debug)]
pub struct Parser {
    shape: Option<&'static Shape>,
    tools: Arc<[Tool]>,
    text: Text,
    state: State,
    out: Output,
}

#[derive(Debug)]
enum State {
    Text,
    Objects(ObjectCalls),
    Named(NamedCalls),
    Tagged(TaggedCalls),
    Messages(Messages),
}

impl Parser {
    /// A parser for an answer of a model with this dialect, which may call these tools. A model
    /// that gets them [described](crate::is_described) uses the tags of `hermes`. Without
    /// tools, tags of calls are text.
    #[must_use]
    pub fn new(dialect: &Dialect, tools: Arc<[Tool]>, starts_in_reasoning: bool) -> Self {
        let shape = (!tools.is_empty()).then(|| shape(dialect));
        let is_harmony =
            dialect.tools == Some(ToolFormat::Harmony) || dialect.reasoning == Some(ReasoningFormat::Harmony);
        let state = if is_harmony {
            State::Messages(Messages::new(!tools.is_empty(), starts_in_reasoning))
        } else {
            State::Text
        };
        let text = Text::new(shape, dialect.reasoning.and_then(format::tags), starts_in_reasoning);
        Self { shape, tools, text, state, out: Output::default() }
    }

    /// Takes a piece of the answer, and emits what is known of it.
    pub fn push(&mut self, text: &str, emit: impl FnMut(Event)) {
        for c in text.chars() {
            self.step(c);
        }
        self.out.drain(emit);
    }

    /// Takes the end of the answer, and emits the rest. Returns whether a call is not complete.
    pub fn finish(mut self, emit: impl FnMut(Event)) -> bool {
        let out = &mut self.out;
        let ending = match self.state {
            State::Text => {
                self.text.finish(out);
                Ending::complete()
            }
            State::Objects(calls) => calls.finish(),
            State::Named(calls) => calls.finish(out),
            State::Tagged(calls) => calls.finish(out),
            State::Messages(messages) => messages.finish(out),
        };
        out.content(&ending.content);
        out.drain(emit);
        ending.cut
    }

    /// Whether the answer has a call.
    #[must_use]
    pub fn has_called(&self) -> bool {
        self.out.has_called()
    }

    fn step(&mut self, c: char) {
        let out = &mut self.out;
        let (step, raw) = match &mut self.state {
            State::Text => return self.text_step(c),
            State::Messages(messages) => return messages.step(c, out),
            State::Objects(calls) => match calls.step(c, &self.tools, out) {
                Step::Reject => (Step::Reject, calls.take_raw()),
                step => (step, String::new()),
            },
            State::Named(calls) => match calls.step(c, out) {
                Step::Reject => (Step::Reject, calls.take_raw()),
                step => (step, String::new()),
            },
            State::Tagged(calls) => match calls.step(c, &self.tools, out) {
                Step::Reject => (Step::Reject, calls.take_raw()),
                step => (step, String::new()),
            },
        };
        match step {
            Step::More => {}
            Step::Done => {
                self.state = State::Text;
                self.text.after_calls();
            }
            Step::Reject => {
                self.state = State::Text;
                self.text.give_back(&raw, out);
            }
        }
    }

    fn text_step(&mut self, c: char) {
        let Some(found) = self.text.step(c, &mut self.out) else { return };
        self.state = match (self.shape, found) {
            (Some(Shape::Objects(format)), Found::Calls(opening)) => {
                State::Objects(ObjectCalls::tagged(format, opening))
            }
            (Some(Shape::Objects(format)), Found::Object(opening)) => {
                State::Objects(ObjectCalls::bare(format, opening))
            }
            (Some(Shape::Named(format)), Found::Calls(opening)) => State::Named(NamedCalls::new(format, opening)),
            (Some(Shape::Tagged(format)), Found::Calls(opening)) => State::Tagged(TaggedCalls::new(format, opening)),
            _ => State::Text,
        };
    }
}

/// Whether answers are messages.
pub(crate) fn is_harmony(dialect: &Dialect) -> bool {
    dialect.tools == Some(ToolFormat::Harmony) || dialect.reasoning == Some(ReasoningFormat::Harmony)
}

/// The format in which the template asks for calls.
pub(crate) fn tool_format(dialect: &Dialect) -> Option<ToolFormat> {
    dialect.tools.filter(|_| dialect.template_renders_tools)
}

/// How a model writes calls: as its template asks for, or as they are described to it.
pub(crate) fn shape(dialect: &Dialect) -> &'static Shape {
    format::shape(tool_format(dialect).unwrap_or(ToolFormat::Hermes))
}
