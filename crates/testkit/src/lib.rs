//! What the tests of several crates share.
//!
//! So far that is no code, but the features of their dependencies: see `Cargo.toml`.
