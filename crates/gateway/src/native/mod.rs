//! The endpoints of the system that Hostler succeeds. Their successes are
//! `{"success": true, "data": {…}}`; their errors are those of all other endpoints.

mod encode;
mod format;
mod generate;
mod model_info;

use serde::Serialize;

pub(crate) use encode::encode;
pub(crate) use generate::{generate, generate_stream};
pub(crate) use model_info::model_info;

/// A success.
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
