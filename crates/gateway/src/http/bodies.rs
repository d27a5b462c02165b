//! Envelopes that several APIs use.

use serde::Serialize;

/// `{"success": true, "data": {…}}`: the native API's success.
#[derive(Serialize)]
pub(crate) struct Success<T> {
    success: bool,
    data: T,
}

impl<T> Success<T> {
    pub(crate) fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

/// `{"object": "list", "data": […]}`: OpenAI's list.
#[derive(Serialize)]
pub(crate) struct List<T> {
    object: &'static str,
    data: Vec<T>,
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self { object: "list", data: items.into_iter().collect() }
    }
}
