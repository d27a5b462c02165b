//! Models by name: downloads them, verifies their checksums and stores them.
//!
//! A [`ModelRef`] names a model of the [`catalogue`], a repository of the Hugging
//! Face hub, or a path. [`Store::pull`] downloads and verifies it; [`Store::find`]
//! returns its path. This crate knows no engine: the function that converts weights
//! into another format is an argument ([`Converter`]).

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
