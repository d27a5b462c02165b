//! From raw file to validated configuration.
