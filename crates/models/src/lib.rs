//! Models by name: where they come from, whether they are what they should be,
//! and where they lie.
//!
//! A [`ModelRef`] names a model of the [`catalogue`], a repository of the Hugging
//! Face hub, or a path. [`Store::pull`] fetches and checks it; [`Store::find`]
//! says where it is. This crate knows no engine: what rewrites weights into
//! another format is passed in ([`Converter`]).

pub mod catalogue;
mod checksum;
mod error;
mod hub;
mod installed;
mod progress;
mod pull;
mod pypi;
mod reference;
mod store;

pub use checksum::of_file as sha256;
pub use error::ModelError;
pub use installed::{FileRecord, Installed};
pub use progress::{PullProgress, PullStage};
pub use pull::Converter;
pub use reference::ModelRef;
pub use store::Store;
