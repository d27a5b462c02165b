//! Snapshots of schedulers, and the descriptions of their models.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::{Capabilities, Driving, FencingToken, ModelDescription, Prefill};
use hostler_scheduler::{ClaimSnapshot, SchedulerSnapshot};

use super::{Malformed, duration_from_proto, duration_to_proto, proto, required_duration};

/// A snapshot as a message that is sent at `now`.
#[must_use]
pub fn snapshot_to_proto(snapshot: &SchedulerSnapshot, now: Instant) -> proto::SchedulerSnapshot {
    proto::SchedulerSnapshot {
        id: snapshot.id.as_str().to_owned(),
        model: snapshot.model.as_str().to_owned(),
        state: proto::SchedulerState::from(snapshot.state).into(),
        description: snapshot.description.as_deref().map(Into::into),
        batch_size_max: snapshot.batch_size_max,
        running: snapshot.running,
        waiting: snapshot.waiting.to_vec(),
        kv_reserved_tokens: snapshot.kv_reserved_tokens,
        outstanding_tokens: snapshot.outstanding_tokens,
        estimated_wait: Some(duration_to_proto(snapshot.estimated_wait)),
        steps: snapshot.steps,
        since_last_step: Some(duration_to_proto(snapshot.since_last_step)),
        claim: snapshot.claim.as_ref().map(|claim| proto::ClaimSnapshot {
            token: claim.token.0,
            owner: claim.owner.clone(),
            ttl: Some(duration_to_proto(claim.ttl)),
            age: claim.granted.map(|granted| duration_to_proto(now.saturating_duration_since(granted))),
        }),
        restarts: snapshot.restarts,
        failure: snapshot.failure.clone(),
        vocabulary: snapshot.vocabulary,
    }
}

/// A message that was received at `now` as a snapshot.
///
/// # Errors
/// [`Malformed`].
pub fn snapshot_from_proto(message: proto::SchedulerSnapshot, now: Instant) -> Result<SchedulerSnapshot, Malformed> {
    let state = message.state().try_into()?;
    let claim = |claim: proto::ClaimSnapshot| {
        let ttl = required_duration(claim.ttl, "claim.ttl")?;
        let age = claim.age.map(duration_from_proto).transpose()?;
        let granted = age.and_then(|age| now.checked_sub(age));
        Ok(ClaimSnapshot { token: FencingToken(claim.token), owner: claim.owner, granted, ttl })
    };
    let waiting = message.waiting.as_slice().try_into();
    Ok(SchedulerSnapshot {
        id: message.id.into(),
        model: message.model.into(),
        state,
        description: message.description.map(TryInto::try_into).transpose()?.map(Arc::new),
        batch_size_max: message.batch_size_max,
        running: message.running,
        waiting: waiting
            .map_err(|_| Malformed(format!("snapshot.waiting has {} priorities", message.waiting.len())))?,
        kv_reserved_tokens: message.kv_reserved_tokens,
        outstanding_tokens: message.outstanding_tokens,
        estimated_wait: required_duration(message.estimated_wait, "snapshot.estimated_wait")?,
        steps: message.steps,
        since_last_step: required_duration(message.since_last_step, "snapshot.since_last_step")?,
        claim: message.claim.map(claim).transpose()?,
        restarts: message.restarts,
        failure: message.failure,
        vocabulary: message.vocabulary,
    })
}

impl From<&ModelDescription> for proto::ModelDescription {
    fn from(own: &ModelDescription) -> Self {
        let Driving { max_sequences, batching, prefill } = own.driving;
        let Capabilities { constraints, top_logprobs_max, chat, embedding_dimensions } = own.capabilities;
        Self {
            model: own.model.as_str().to_owned(),
            engine: proto::Engine::from(own.engine).into(),
            device: own.device.clone(),
            weight_format: own.weight_format.clone(),
            weight_bytes: own.weight_bytes,
            context_length: own.context_length,
            kv_capacity_tokens: own.kv_capacity_tokens,
            vocabulary_size: own.vocabulary_size,
            max_sequences,
            batching: proto::Batching::from(batching).into(),
            prefill_chunk_tokens: match prefill {
                Prefill::Chunked { tokens } => Some(tokens),
                Prefill::Blocking => None,
            },
            constraints,
            top_logprobs_max,
            chat,
            embedding_dimensions,
        }
    }
}

impl TryFrom<proto::ModelDescription> for ModelDescription {
    type Error = Malformed;

    fn try_from(message: proto::ModelDescription) -> Result<Self, Malformed> {
        let (engine, batching) = (message.engine().try_into()?, message.batching().try_into()?);
        let prefill = message.prefill_chunk_tokens.map_or(Prefill::Blocking, |tokens| Prefill::Chunked { tokens });
        Ok(Self {
            model: message.model.into(),
            engine,
            device: message.device,
            weight_format: message.weight_format,
            weight_bytes: message.weight_bytes,
            context_length: message.context_length,
            kv_capacity_tokens: message.kv_capacity_tokens,
            vocabulary_size: message.vocabulary_size,
            driving: Driving { max_sequences: message.max_sequences, batching, prefill },
            capabilities: Capabilities {
                constraints: message.constraints,
                top_logprobs_max: message.top_logprobs_max,
                chat: message.chat,
                embedding_dimensions: message.embedding_dimensions,
            },
        })
    }
}
