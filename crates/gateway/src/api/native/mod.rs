//! The endpoints of the system that Hostler replaces. Their successes are
//! `{"success": true, "data": {…}}`; their errors are the same as those of other endpoints.

pub(super) mod generate;
pub(super) mod model;
