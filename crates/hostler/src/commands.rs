//! The commands, one file for each.

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod gateway;
pub(crate) mod model;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod worker;
