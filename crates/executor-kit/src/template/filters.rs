//! Filters that differ from those of this Jinja.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The length of a value. An undefined one is empty.
pub(super) fn length(value: &Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        kind => value
            .len()
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("a value of type {kind} has no length"))),
    }
}

/// Indents every line of a text but the first and empty ones. A final line break is kept.
#[expect(clippy::needless_pass_by_value, reason = "filters get their named arguments by value")]
pub(super) fn indent(text: &str, width: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let width = match width {
        Some(width) => width,
        None => options.get::<Option<usize>>("width")?.unwrap_or(4),
    };
    let first = options.get::<Option<bool>>("first")?.unwrap_or_default();
    let blank = options.get::<Option<bool>>("blank")?.unwrap_or_default();
    options.assert_all_used()?;
    let indentation = " ".repeat(width);
    let indented = text.split('\n').enumerate().map(|(index, line)| {
        let wanted = if index == 0 { first } else { blank || !line.is_empty() };
        if wanted { format!("{indentation}{line}") } else { line.to_owned() }
    });
    Ok(indented.collect::<Vec<_>>().join("\n"))
}
