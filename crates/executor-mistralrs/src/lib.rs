//! The mistral.rs engine: the default, made for GPUs.
