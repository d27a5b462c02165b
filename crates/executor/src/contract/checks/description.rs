//! What an engine says of itself.

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};
use hostler_protocol::Prefill;

pub(super) fn is_sane(subject: &Subject) -> Result<(), Violation> {
    let description = subject.description();
    ensure!(!description.model.as_str().is_empty(), "the model has no name");
    ensure!(!description.device.is_empty(), "the device has no name");
    ensure!(!description.weight_format.is_empty(), "the weight format has no name");
    ensure!(description.context_length >= 64, "a context of {} tokens", description.context_length);
    ensure!(description.vocabulary_size >= 2, "a vocabulary of {} tokens", description.vocabulary_size);
    ensure!(
        description.kv_capacity_tokens >= u64::from(description.context_length),
        "a KV cache of {} tokens does not hold one context of {}",
        description.kv_capacity_tokens,
        description.context_length
    );
    ensure!(description.driving.max_sequences >= 1, "no sequence may run");
    ensure!(description.driving.prefill != Prefill::Chunked { tokens: 0 }, "prefill in chunks of nothing");
    ensure!(subject.executor().progress().alive, "it does not live");
    Ok(())
}
