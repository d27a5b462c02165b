//! The form that an answer must have: a schema, a regular expression, a grammar.

use hostler_protocol::{Constraint, RequestError};

use super::generation::{GenerationBody, ResponseFormat, ResponseFormatType};
use crate::limits::CONSTRAINT_BYTES_MAX;

/// The one constraint that the body names, if any.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(super) fn read(body: &GenerationBody) -> Result<Option<Constraint>, RequestError> {
    let given = [
        ("response_format", body.response_format.as_deref().map(schema).transpose()?.flatten()),
        ("regex", body.regex.clone().map(Constraint::Regex)),
        ("lark", body.lark.clone().map(Constraint::Lark)),
    ];
    let mut given = given.into_iter().filter_map(|(field, constraint)| Some((field, constraint?)));
    let Some((field, constraint)) = given.next() else { return Ok(None) };
    if let Some((other, _)) = given.next() {
        return Err(RequestError::invalid(other, format!("{other} and {field} exclude each other")));
    }
    let (Constraint::JsonSchema(text) | Constraint::Regex(text) | Constraint::Lark(text)) = &constraint;
    if text.is_empty() || text.len() > CONSTRAINT_BYTES_MAX {
        return Err(RequestError::invalid(
            field,
            format!("{field} has {} bytes; 1 to {CONSTRAINT_BYTES_MAX} are allowed", text.len()),
        ));
    }
    Ok(Some(constraint))
}

fn schema(format: &ResponseFormat) -> Result<Option<Constraint>, RequestError> {
    let given = format.json_schema.as_ref().and_then(|format| format.schema.as_ref());
    match (format.r#type, given) {
        (ResponseFormatType::Text, _) => Ok(None),
        (ResponseFormatType::JsonObject, _) => Ok(Some(Constraint::JsonSchema(r#"{"type":"object"}"#.to_owned()))),
        (ResponseFormatType::JsonSchema, Some(schema)) => Ok(Some(Constraint::JsonSchema(schema.to_string()))),
        (ResponseFormatType::JsonSchema, None) => Err(RequestError::invalid(
            "response_format.json_schema.schema",
            "response_format.json_schema.schema: missing, and the type is json_schema",
        )),
    }
}
