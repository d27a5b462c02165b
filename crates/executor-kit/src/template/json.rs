//! The filter `tojson` as Transformers defines it: Python's `json.dumps` with
//! `ensure_ascii=False`, which puts a space after each comma and colon.

use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Writes a value as JSON. `indent` is a number of spaces.
#[expect(clippy::needless_pass_by_value, reason = "filters get their named arguments by value")]
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent = options.get::<Option<usize>>("indent")?;
    let separators = options.get::<Option<Vec<String>>>("separators")?.unwrap_or_default();
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or_default();
    let ensure_ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or_default();
    options.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::BadSerialization, "an undefined value cannot be written as JSON"));
    }
    let mut json = serde_json::to_value(value).map_err(|error| failed(&error))?;
    if sort_keys {
        json.sort_all_objects();
    }
    let mut text = Vec::new();
    let written = match (indent, separators) {
        (Some(spaces), _) => {
            let spaces = vec![b' '; spaces];
            json.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(&spaces)))
        }
        (None, separators) => {
            let [comma, colon] = <[String; 2]>::try_from(separators).unwrap_or([", ".to_owned(), ": ".to_owned()]);
            json.serialize(&mut Serializer::with_formatter(&mut text, Separated { comma, colon }))
        }
    };
    written.map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Value::from(if ensure_ascii { ascii(&text) } else { text }))
}

/// The text with its other characters escaped: in JSON, they only occur in strings.
fn ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii() {
            escaped.push(char);
        } else {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        }
    }
    escaped
}

fn failed(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, error.to_string())
}

/// JSON on one line, with separators of its own.
struct Separated {
    comma: String,
    colon: String,
}

impl Separated {
    fn comma<W: ?Sized + io::Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(self.comma.as_bytes()) }
    }
}

impl Formatter for Separated {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.colon.as_bytes())
    }
}
