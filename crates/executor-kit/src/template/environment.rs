//! Jinja with the settings, extensions and functions that Transformers gives to templates.

use std::fmt::Write;
use std::sync::LazyLock;

use chrono::Local;
use minijinja::{Environment, Error, ErrorKind};
use regex::Regex;

use super::{filters, json, python};

/// An environment without templates.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(python::print);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("string", python::text);
    environment.add_filter("length", filters::length);
    environment.add_filter("count", filters::length);
    environment.add_filter("indent", filters::indent);
    environment
}

/// The template without the tags `generation` and `endgeneration`. Transformers marks the tokens
/// of answers with them for training; the text is the same.
pub(super) fn portable(source: &str) -> String {
    static GENERATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(?:end)?generation\s*([-+]?)%\}").expect("the pattern is valid"));
    // A comment in its place trims whitespace as the tag did.
    GENERATION.replace_all(source, "{#$1 $2#}").into_owned()
}

/// Templates call this to reject a conversation.
fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The local date and time. Templates write today's date into the system message.
fn strftime_now(format: &str) -> Result<String, Error> {
    let mut text = String::new();
    write!(text, "{}", Local::now().format(format))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {format:?} is not a format")))?;
    Ok(text)
}
