//! The members of a call's object, up to its arguments.

use super::json::{Place, Value, is_space};
use super::step::is_name;
use crate::format::Objects;

/// The members before the arguments.
#[derive(Debug, Default)]
pub(crate) struct Head {
    place: Member,
    /// The key or the value that is being read.
    text: String,
    key: String,
    value: Value,
    name: Option<String>,
    /// Arguments before the name.
    arguments: Option<String>,
}

#[derive(Debug, Default)]
enum Member {
    #[default]
    Key,
    InKey,
    Colon,
    Value,
}

/// What follows from a character.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    More,
    /// The name; the arguments begin.
    Call(String),
    /// The name after the arguments; the rest of the object follows.
    Late {
        name: String,
        arguments: String,
    },
    /// The name; the object has ended without arguments.
    Bare(String),
    /// It is no call.
    Nothing,
}

impl Head {
    pub(crate) fn is_in_string(&self) -> bool {
        matches!(self.place, Member::InKey) || self.value.is_in_string()
    }

    /// Takes a character. `allowed` tells which keys an object may have that is no call for sure.
    pub(crate) fn step(&mut self, c: char, format: &Objects, is_sure: bool) -> Found {
        match self.place {
            Member::Key => match c {
                '"' => {
                    self.place = Member::InKey;
                    self.value = Value::default();
                    self.value.step(c);
                    self.text = c.to_string();
                }
                '}' => return self.name.take().map_or(Found::Nothing, Found::Bare),
                ',' => {}
                _ if is_space(c) => {}
                _ => return Found::Nothing,
            },
            Member::InKey => {
                self.text.push(c);
                if self.value.step(c) == Place::Last {
                    let Ok(key) = serde_json::from_str::<String>(&self.text) else { return Found::Nothing };
                    let is_known = key == format.name || key == "type" || format.arguments.contains(&key.as_str());
                    if !is_sure && !is_known {
                        return Found::Nothing;
                    }
                    self.key = key;
                    self.place = Member::Colon;
                }
            }
            Member::Colon => match c {
                ':' => {
                    self.place = Member::Value;
                    self.value = Value::default();
                    self.text.clear();
                    return self.begin(format);
                }
                _ if is_space(c) => {}
                _ => return Found::Nothing,
            },
            Member::Value => match self.value.step(c) {
                Place::Before => {}
                Place::Inside => self.text.push(c),
                Place::Last => {
                    self.text.push(c);
                    return self.end(format);
                }
                Place::After => {
                    return match self.end(format) {
                        Found::More => self.step(c, format, is_sure),
                        found => found,
                    };
                }
            },
        }
        Found::More
    }

    /// A value begins.
    fn begin(&mut self, format: &Objects) -> Found {
        if format.name.is_empty() {
            return if is_name(&self.key) { Found::Call(std::mem::take(&mut self.key)) } else { Found::Nothing };
        }
        match &self.name {
            Some(name) if format.arguments.contains(&self.key.as_str()) => Found::Call(name.clone()),
            _ => Found::More,
        }
    }

    /// A value has ended.
    fn end(&mut self, format: &Objects) -> Found {
        self.place = Member::Key;
        if self.key == format.name {
            match serde_json::from_str::<String>(&self.text) {
                Ok(name) if is_name(&name) => self.name = Some(name),
                _ => return Found::Nothing,
            }
        } else if format.arguments.contains(&self.key.as_str()) {
            self.arguments = Some(std::mem::take(&mut self.text));
        }
        match (&self.name, &self.arguments) {
            (Some(name), Some(arguments)) => Found::Late { name: name.clone(), arguments: arguments.clone() },
            _ => Found::More,
        }
    }

    /// The name, if it is known.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
