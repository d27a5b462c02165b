//! One file a command.

pub(crate) mod config;
pub(crate) mod model;
pub(crate) mod serve;
