//! Bodies of clients that add fields of their own. Routers in front of inference servers do.

use hostler_protocol::RequestError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use strsim::damerau_levenshtein;

use super::parse::parse;

/// Most unknown fields of one body; each costs another pass.
const IGNORED_MAX: usize = 32;

/// How serde's message about an unknown field begins.
const UNKNOWN: &str = "unknown field `";

/// Parses a body without its unknown fields, and returns their paths. A known body is parsed
/// once; only one with unknown fields costs more.
///
/// # Errors
/// As [`parse`]; and if an unknown field is probably a misspelt one.
pub(super) fn parse_known<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Vec<String>), RequestError> {
    let strict = match parse(body) {
        Ok(parsed) => return Ok((parsed, Vec::new())),
        Err(error) => error,
    };
    // Any other error is better described with its place in the body.
    if !strict.message.contains(UNKNOWN) {
        return Err(strict);
    }
    let mut value = parse::<Value>(body)?;
    let mut ignored = Vec::new();
    while ignored.len() <= IGNORED_MAX {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(parsed) => return Ok((parsed, ignored)),
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let Some((unknown, known)) = unknown_field(&message) else { break };
        let mut path = steps(error.path());
        // The path may end with the field, or with the object that has it.
        path.pop_if(|last| matches!(last, Step::Key(key) if key == unknown));
        let shown = shown(&path, unknown);
        if let Some(meant) = near_miss(unknown, &known) {
            let message = format!("{shown}: unknown field; did you mean {meant:?}?");
            return Err(RequestError::invalid(shown, message));
        }
        if !remove(&mut value, &path, unknown) {
            break;
        }
        ignored.push(shown);
    }
    // Without its unknown fields, the error is about a known one.
    match parse::<T>(value.to_string().as_bytes()) {
        Err(error) if ignored.len() <= IGNORED_MAX => Err(error),
        _ => Err(strict),
    }
}

/// A step on the way to a value.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// The field that serde does not know, and those that it knows there.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix(UNKNOWN)?;
    let (field, expected) = rest.split_once("`, expected ")?;
    // ``a``, or ``a` or `b``, or `one of `a`, `b``.
    Some((field, expected.split('`').skip(1).step_by(2).collect()))
}

/// The known field that was probably meant: at most a fifth of its letters differ.
fn near_miss<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|&known| (damerau_levenshtein(field, known), known));
    distances.filter(|(distance, known)| *distance <= known.len().div_ceil(5)).min().map(|(_, known)| known)
}

fn remove(value: &mut Value, path: &[Step], field: &str) -> bool {
    let mut at = value;
    for step in path {
        let next = match step {
            Step::Key(key) => at.get_mut(key),
            Step::Index(index) => at.get_mut(index),
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    at.as_object_mut().is_some_and(|object| object.remove(field).is_some())
}

fn shown(path: &[Step], field: &str) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    if text.is_empty() { field.to_owned() } else { format!("{text}.{field}") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct Body {
        temperature: Option<f32>,
        messages: Vec<Message>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message {
        role: String,
    }

    fn read(json: &str) -> Result<(Body, Vec<String>), RequestError> {
        parse_known(json.as_bytes())
    }

    #[test]
    fn unknown_fields_are_named_and_the_known_ones_kept() {
        let (body, mut ignored) = read(
            r#"{"temperature": 0.5, "no_stop_trim": true, "messages": [{"role": "a"}, {"role": "b", "extra": {"x": 1}}]}"#,
        )
        .expect("it has known fields");
        // Their order is not promised.
        ignored.sort();
        assert_eq!(ignored, ["messages[1].extra", "no_stop_trim"]);
        assert_eq!((body.temperature, body.messages.len()), (Some(0.5), 2));
        assert_eq!(read("{}").expect("nothing is required").1, [""; 0]);
    }

    #[test]
    fn a_misspelt_field_is_refused_with_the_one_that_was_meant() {
        let error = read(r#"{"temprature": 0.5}"#).expect_err("it is misspelt");
        assert_eq!(error.param.as_deref(), Some("temprature"));
        assert!(error.message.contains(r#"did you mean "temperature"?"#), "{}", error.message);
        let error = read(r#"{"messages": [{"rol": "a"}]}"#).expect_err("it is misspelt");
        assert_eq!(error.param.as_deref(), Some("messages[0].rol"), "{}", error.message);
    }

    #[test]
    fn a_wrong_value_next_to_unknown_fields_is_named() {
        let error = read(r#"{"zzz": 1, "temperature": "hot"}"#).expect_err("it is no number");
        assert_eq!(error.param.as_deref(), Some("temperature"), "{}", error.message);
        let error = read(r#"{"zzz": 1"#).expect_err("it is not JSON");
        assert_eq!(error.param.as_deref(), Some("body"), "{}", error.message);
        let many: String = (0..40).map(|index| format!(r#""zzz{index}": 1, "#)).collect();
        let error = read(&format!("{{{many}\"temperature\": 1}}")).expect_err("too many");
        assert_eq!(error.param.as_deref(), Some("zzz0"), "{}", error.message);
    }
}
