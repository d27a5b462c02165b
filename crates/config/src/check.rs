//! Holds values against the table of keys.

use figment::value::{Dict, Num, Value};

use crate::key::{Allowed, find};
use crate::{NamedScheduler, Problem, ServerSettings};

/// What is wrong with the values below `prefix`. `origin` says who set a key.
pub(crate) fn values(prefix: &str, values: &Dict, origin: &dyn Fn(&str) -> Option<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(prefix, values, &mut |path, value| {
        let Some(key) = find(path) else { return };
        if let Some(message) = refusal(key.allowed, value) {
            problems.push(Problem { key: path.to_owned(), origin: origin(path), message });
        }
    });
    problems
}

/// Calls `visit` with every value that is no table, and its dotted path.
pub(crate) fn walk(prefix: &str, values: &Dict, visit: &mut dyn FnMut(&str, &Value)) {
    for (name, value) in values {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => walk(&path, inner, visit),
            value => visit(&path, value),
        }
    }
}

/// Why a value is not allowed. Words and forms have been checked by their types.
fn refusal(allowed: Allowed, value: &Value) -> Option<String> {
    let inside = match (allowed, value) {
        (Allowed::Whole(min, max) | Allowed::OptionalWhole(min, max), Value::Num(_, number)) => {
            whole(*number).is_some_and(|number| (i128::from(min)..=i128::from(max)).contains(&number))
        }
        _ => true,
    };
    (!inside).then(|| format!("{} is out of range; allowed are {allowed}", shown(value)))
}

fn whole(number: Num) -> Option<i128> {
    number.to_i128().or_else(|| number.to_u128().and_then(|number| number.try_into().ok()))
}

/// A value as a person wrote it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Num(_, number) => match (whole(*number), number.to_f64()) {
            (Some(number), _) => number.to_string(),
            (_, Some(number)) => format!("{number:?}"),
            _ => "a number".to_owned(),
        },
        Value::Bool(_, value) => value.to_string(),
        Value::Array(_, values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        _ => "a table".to_owned(),
    }
}

/// Whether a name can be a metric label, a part of a URL and of an environment
/// variable.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || matches!(byte, b'-' | b'_'))
}

/// What a DNS label holds, so that a name can become a host's.
const NAME_BYTES_MAX: usize = 63;

/// Short keys are guessed; this bound catches the empty and the forgotten one.
const API_KEY_BYTES_MIN: usize = 8;

/// What is wrong with the names and the keys of clients. The keys themselves are
/// not shown.
pub(crate) fn api_keys(server: &ServerSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, client) in &server.api_keys {
        let mut refuse = |message: &str| {
            let key = format!("server.api_keys.{name}");
            problems.push(Problem { key, origin: None, message: message.to_owned() });
        };
        if !is_name(name) {
            refuse(NAME_REFUSED);
        }
        let secret = client.key.reveal();
        if secret.len() < API_KEY_BYTES_MIN || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            refuse("the key is not allowed; allowed are 8 or more ASCII letters, digits and signs, without spaces");
        }
        if server.api_keys.iter().any(|(other, theirs)| other < name && theirs.key.reveal() == secret) {
            refuse("the key is another client's too; each needs its own");
        }
    }
    problems
}

/// What is wrong with a scheduler that ranges cannot say.
pub(crate) fn scheduler(scheduler: &NamedScheduler) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: String| {
        let key = format!("schedulers.{}{key}", scheduler.name);
        problems.push(Problem { key, origin: None, message });
    };
    if !is_name(&scheduler.name) {
        refuse("", NAME_REFUSED.to_owned());
    }
    let settings = &scheduler.settings;
    if settings.model.trim().is_empty() {
        refuse(".model", format!("{:?} names no model; `hostler model list` shows some", settings.model));
    }
    if let Some(name) = &settings.served_name
        && (name.is_empty() || name.contains(char::is_whitespace))
    {
        refuse(".served_name", format!("{name:?} is not allowed; allowed is text without spaces"));
    }
    problems
}

pub(crate) const NAME_REFUSED: &str =
    "this name is not allowed; allowed are up to 63 of a-z, 0-9, - and _, beginning with a letter or digit";
