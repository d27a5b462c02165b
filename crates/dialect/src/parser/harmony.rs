//! Harmony, the format of gpt-oss: an answer is a sequence of messages on channels.

use super::json::{Place, Value};
use super::scan::Scanner;
use super::step::{Ending, is_name};
use crate::event::Output;

/// Maximum length of a message's header, in bytes. A recipient and a channel are shorter.
const HEADER_BYTES_MAX: usize = 512;

const MESSAGE: &str = "<|message|>";

/// Ends a message.
const ENDS: [&str; 5] = ["<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"];

/// The special tokens of the format.
pub(crate) const MARKERS: [&str; 7] =
    ["<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|call|>", "<|return|>"];

/// Parses messages.
#[derive(Debug)]
pub(crate) struct Messages {
    /// Recipients are tools.
    with_tools: bool,
    scanner: Scanner,
    state: State,
}

#[derive(Debug)]
enum State {
    Header(String),
    Reasoning,
    Content,
    /// The arguments, and whether they are complete.
    Call(Value, bool),
}

impl Messages {
    pub(crate) fn new(with_tools: bool, starts_in_reasoning: bool) -> Self {
        let state = if starts_in_reasoning { State::Reasoning } else { State::Header(String::new()) };
        Self { with_tools, scanner: Scanner::default(), state }
    }

    pub(crate) fn step(&mut self, c: char, out: &mut Output) {
        let mut text = String::new();
        if let State::Header(header) = &mut self.state {
            header.push(c);
            if let Some(header) = header.strip_suffix(MESSAGE) {
                self.state = open(header, self.with_tools, out);
            } else if header.len() > HEADER_BYTES_MAX || !may_be_header(header) {
                // The model does not write messages.
                out.content(header);
                self.state = State::Content;
            }
            return;
        }
        let tag = self.scanner.step(c, &ENDS.into_iter(), &mut text);
        self.text(&text, out);
        match tag {
            Some(tag @ ("<|start|>" | "<|channel|>")) => self.state = State::Header(tag.to_owned()),
            Some(_) => self.state = State::Header(String::new()),
            None => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut Output) {
        match &mut self.state {
            State::Header(_) => {}
            State::Reasoning => out.reasoning(text),
            State::Content => out.content(text),
            State::Call(value, is_complete) => {
                *is_complete |= text.chars().any(|c| value.step(c) == Place::Last);
                out.arguments(text);
            }
        }
    }

    pub(crate) fn finish(mut self, out: &mut Output) -> Ending {
        let held = self.scanner.take();
        self.text(&held, out);
        Ending {
            content: String::new(),
            cut: match self.state {
                State::Call(_, is_complete) => !is_complete,
                State::Header(header) => self.with_tools && recipient(&header).is_some(),
                State::Reasoning | State::Content => false,
            },
        }
    }
}

/// The message behind a header.
fn open(header: &str, with_tools: bool, out: &mut Output) -> State {
    match recipient(header) {
        Some(name) if with_tools => {
            out.call(name);
            State::Call(Value::default(), false)
        }
        _ if word(header, "<|channel|>") == Some("analysis") => State::Reasoning,
        _ => State::Content,
    }
}

/// The tool that a message is for.
fn recipient(header: &str) -> Option<&str> {
    let name = word(header, "to=")?;
    Some(name.strip_prefix("functions.").unwrap_or(name)).filter(|name| is_name(name))
}

/// The word behind `mark`.
fn word<'a>(header: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(mark)?;
    rest.split(|c: char| c.is_whitespace() || c == '<').next().filter(|word| !word.is_empty())
}

/// Whether a header can begin like this.
fn may_be_header(header: &str) -> bool {
    let header = header.trim_start();
    ["<|start|>", "<|channel|>", "<|constrain|>", MESSAGE, "to=", "assistant"]
        .iter()
        .any(|beginning| header.starts_with(beginning) || beginning.starts_with(header))
}
