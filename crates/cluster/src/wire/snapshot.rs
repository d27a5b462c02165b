//! What a scheduler says of itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::FencingToken;
use hostler_scheduler::{ClaimSnapshot, SchedulerSnapshot};

use super::{Malformed, proto, span};

/// A snapshot as a message that is sent at `now`.
#[must_use]
pub fn snapshot_message(snapshot: &SchedulerSnapshot, now: Instant) -> proto::SchedulerSnapshot {
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
        estimated_wait: Some(snapshot.estimated_wait.into()),
        steps: snapshot.steps,
        since_last_step: Some(snapshot.since_last_step.into()),
        claim: snapshot.claim.as_ref().map(|claim| proto::ClaimSnapshot {
            token: claim.token.0,
            owner: claim.owner.clone(),
            ttl: Some(claim.ttl.into()),
            age: claim.granted.map(|granted| now.saturating_duration_since(granted).into()),
        }),
        restarts: snapshot.restarts,
        failure: snapshot.failure.clone(),
    }
}

/// A message that came at `now` as a snapshot.
///
/// # Errors
/// [`Malformed`].
pub fn snapshot(message: proto::SchedulerSnapshot, now: Instant) -> Result<SchedulerSnapshot, Malformed> {
    let state = message.state().try_into()?;
    let claim = |claim: proto::ClaimSnapshot| {
        let ttl = span(claim.ttl, "claim.ttl")?;
        let age = claim.age.map(Duration::try_from).transpose()?;
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
        waiting: waiting.map_err(|_| Malformed(format!("{} classes of requests", message.waiting.len())))?,
        kv_reserved_tokens: message.kv_reserved_tokens,
        outstanding_tokens: message.outstanding_tokens,
        estimated_wait: span(message.estimated_wait, "snapshot.estimated_wait")?,
        steps: message.steps,
        since_last_step: span(message.since_last_step, "snapshot.since_last_step")?,
        claim: message.claim.map(claim).transpose()?,
        restarts: message.restarts,
        failure: message.failure,
    })
}
