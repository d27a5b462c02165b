//! Turns what the deserialiser says into what a person can act on.

use figment::Figment;
use figment::error::Kind;

use crate::Problem;
use crate::check::shown;
use crate::error::nearest;
use crate::key;
use crate::keys::KEYS;
use crate::layer::DEFAULTS;

/// What is wrong, key by key. `section` is where deserialising began.
pub(crate) fn problems(figment: &Figment, section: &str, error: figment::Error) -> Vec<Problem> {
    error.into_iter().map(|error| problem(figment, section, &error)).collect()
}

fn problem(figment: &Figment, section: &str, error: &figment::Error) -> Problem {
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string()).filter(|name| name != DEFAULTS);
    let mut path: Vec<&str> = section.split('.').filter(|part| !part.is_empty()).collect();
    path.extend(error.path.iter().map(String::as_str));
    if let Kind::UnknownField(field, siblings) = &error.kind {
        if path.last() != Some(&field.as_str()) {
            path.push(field);
        }
        return Problem { message: unknown_key(field, siblings), key: path.join("."), origin };
    }
    let key = path.join(".");
    let message = match (key::find(&key), figment.find_value(&key)) {
        (Some(known), Ok(value)) if !key.ends_with(".key") => {
            format!("{} is not allowed; allowed are {}", shown(&value), known.allowed)
        }
        (Some(known), _) => format!("the value is not allowed; allowed are {}", known.allowed),
        (None, _) => error.kind.to_string(),
    };
    Problem { key, origin, message }
}

fn unknown_key(field: &str, siblings: &[&str]) -> String {
    if let Some(sibling) = nearest(field, siblings.iter().copied()) {
        return format!("no such key; did you mean {sibling:?}?");
    }
    // A right key in a wrong section is the other common mistake.
    match KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(field)) {
        Some(key) => format!("no such key; there is {}", key.path),
        None => format!("no such key; there are {}", siblings.join(", ")),
    }
}
