//! Parses JSON, and describes errors in the client's terms.

use hostler_protocol::RequestError;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::http::error::shortened;

/// Most bytes of a parser's message on a field: it quotes the field's value.
const PARSER_MESSAGE_BYTES_MAX: usize = 300;

/// Longest path of a field in an error, in bytes: its keys may be the client's own.
const PARAM_BYTES_MAX: usize = 128;

/// Refuses a body that is no object: serde would also accept an array, with the fields in
/// their order.
pub(super) fn check_object(body: &[u8]) -> Result<(), RequestError> {
    let object = body.trim_ascii_start().starts_with(b"{");
    if !object && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        return Err(RequestError::invalid("body", "the body must be a JSON object"));
    }
    Ok(())
}

/// Parses a value. Only an invalid one is parsed a second time, to find the field's name:
/// tracking the path costs an allocation per key.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    if let Ok(parsed) = serde_json::from_slice(body) {
        return Ok(parsed);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(parsed) => match deserializer.end() {
            Ok(()) => return Ok(parsed),
            Err(error) => return Err(explain("", &error)),
        },
        Err(error) => error,
    };
    // The root is rendered as `.`, and a key that was not read yet as `?`.
    let path = error.path().to_string();
    Err(explain(path.trim_end_matches(['.', '?']), error.inner()))
}

/// Describes a parser's error in the client's terms: field, line, value.
fn explain(path: &str, error: &serde_json::Error) -> RequestError {
    let detail = error.to_string();
    // serde lists every known field.
    let detail = match detail.split_once(", expected one of") {
        Some((unknown, rest)) if unknown.starts_with("unknown field") => {
            let at = rest.rfind(" at line").map_or("", |start| &rest[start..]);
            format!("{unknown}{at}")
        }
        _ => detail,
    };
    let detail = shortened(&detail, PARSER_MESSAGE_BYTES_MAX);
    let param = shortened(&field_of(path, &detail), PARAM_BYTES_MAX).into_owned();
    let message = match (error.classify(), param.as_str()) {
        (Category::Data, "") => detail.into_owned(),
        (Category::Data, field) => format!("{field}: {detail}"),
        (_, "") => format!("the body is not valid JSON: {detail}"),
        (_, field) => format!("the body is not valid JSON, at {field}: {detail}"),
    };
    RequestError::invalid(if param.is_empty() { "body".to_owned() } else { param }, message)
}

/// The field that an error is about: its path, or, if that is the path of the enclosing object,
/// the path with the name from the message.
fn field_of(path: &str, detail: &str) -> String {
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start)?.split('`').next());
    match named {
        None => path.to_owned(),
        Some(field) if path.is_empty() => field.to_owned(),
        Some(field) if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        Some(field) => format!("{path}.{field}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsing is tested")]
    struct Outer {
        number: u32,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsing is tested")]
    struct Inner {
        text: String,
    }

    #[test]
    fn an_error_names_the_path_of_the_field() {
        let cases = [
            (r#"{"number": -1}"#, "number", "number: invalid value: integer `-1`"),
            (
                r#"{"number": NaN}"#,
                "number",
                "the body is not valid JSON, at number: expected value at line 1 column 12",
            ),
            (r#"{"number": 1e999}"#, "number", "number out of range"),
            (r#"{"number": 1, "list": [{"text": "a"}, {"text": 5}]}"#, "list[1].text", "list[1].text: invalid type"),
            (r#"{"number": 1, "list": [{"txt": 5}]}"#, "list[0].txt", "list[0].txt: unknown field `txt`"),
            (r#"{"number": 1, "list": [{}]}"#, "list[0].text", "missing field `text`"),
            (r#"{"number": 1, "nmber": 1}"#, "nmber", "nmber: unknown field `nmber`"),
            (r#"{"number": 1, "number": 1}"#, "number", "duplicate field `number`"),
            ("{}", "number", "number: missing field `number`"),
            (r#"{"number": 1"#, "body", "the body is not valid JSON: EOF while parsing an object at line 1 column 12"),
            (r#"{"number": 1} x"#, "body", "the body is not valid JSON: trailing characters at line 1 column 15"),
            ("", "body", "the body is not valid JSON: EOF"),
            ("[1]", "body", "the body must be a JSON object"),
            ("null", "body", "the body must be a JSON object"),
        ];
        for (body, param, message) in cases {
            let error = check_object(body.as_bytes()).and_then(|()| parse::<Outer>(body.as_bytes())).expect_err(body);
            assert_eq!(error.param.as_deref(), Some(param), "{body}: {}", error.message);
            assert!(error.message.contains(message), "{body}: {}", error.message);
        }
    }

    #[test]
    fn an_error_names_the_field_that_is_not_utf8() {
        let error = parse::<Outer>(b"{\"number\": 1, \"list\": [{\"text\": \"\xff\"}]}").expect_err("not UTF-8");
        assert_eq!(error.param.as_deref(), Some("list[0].text"), "{}", error.message);
    }
}
