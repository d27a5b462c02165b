//! [`Scheduler`] for a scheduler at a worker: each method is a remote procedure call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    ClaimRequest, EmbeddingRequest, Embeddings, FencingToken, GenerationRequest, RequestError, RequestId, SchedulerId,
    TenantId, TokenId,
};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, TokenizeInput};
use tokio::sync::watch;
use tonic::Streaming;

use super::scheduler::RemoteScheduler;
use super::stream::{RemoteStream, RunningCall};
use crate::wire::proto::{self, tokenize_request};
use crate::wire::{Malformed, chat_to_proto, duration_to_proto, error_from_status, request_to_proto};

/// Maximum wait until a snapshot shows the effect of a call. Workers send one on each change,
/// at most 50 ms later.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(1);

/// An admitted request: its replies, its number of prompt tokens, and the events that came with
/// the admission.
type Admission = (Streaming<proto::GenerateReply>, u32, Vec<proto::TokenEvent>);

impl RemoteScheduler {
    /// Sends a request, and waits for its admission.
    async fn admission(&self, request: GenerationRequest) -> Result<Admission, RequestError> {
        let message = proto::GenerateRequest {
            scheduler: self.name.clone(),
            request: Some(request_to_proto(request, Instant::now())),
        };
        let answer = self.link.client().generate(message).await.map_err(|status| error_from_status(&status))?;
        let mut replies = answer.into_inner();
        let first = replies.message().await.map_err(|status| error_from_status(&status))?;
        let first = first.ok_or_else(|| RequestError::unavailable("the worker ended the answer before it started"))?;
        let accepted = first.accepted.ok_or_else(|| Malformed("the admission is missing".to_owned()))?;
        Ok((replies, accepted.prompt_tokens, first.events))
    }

    /// Waits until the snapshot shows the effect of a call, so that the caller reads its own
    /// writes. If the worker is lost in the meantime, the wait ends without it.
    async fn wait_for_snapshot(&self, shows: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.subscribe();
        if tokio::time::timeout(SNAPSHOT_TIMEOUT, snapshot.wait_for(shows)).await.is_err() {
            tracing::debug!(scheduler = %self.id, "the snapshot does not show the effect of a call yet");
        }
    }

    fn scheduler_request(&self) -> proto::SchedulerRequest {
        proto::SchedulerRequest { scheduler: self.name.clone() }
    }

    fn claimed_request(&self, token: FencingToken) -> proto::ClaimedRequest {
        proto::ClaimedRequest { scheduler: self.name.clone(), token: token.0 }
    }

    fn tokens_request(&self, tokens: Vec<TokenId>) -> proto::TokensRequest {
        proto::TokensRequest { scheduler: self.name.clone(), tokens }
    }
}

#[async_trait]
impl Scheduler for RemoteScheduler {
    fn id(&self) -> &SchedulerId {
        &self.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.subscribe()
    }

    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError> {
        let guard = self.link.start_call()?;
        let permit = self.link.permit()?;
        let (replies, prompt_tokens, received) = tokio::select! {
            admission = self.admission(request) => admission?,
            why = guard.cut_off() => return Err(RequestError::unavailable(&*why)),
        };
        let events = RemoteStream::new(RunningCall { replies, guard, _permit: permit }, received);
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens, events: Box::pin(events) })
    }

    async fn tokenize(&self, tenant: &TenantId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        let input = match input {
            TokenizeInput::Text { text, add_special } => {
                tokenize_request::Input::Text(proto::TextInput { text, add_special })
            }
            TokenizeInput::Chat(messages) => tokenize_request::Input::Chat(chat_to_proto(messages)),
        };
        let request =
            proto::TokenizeRequest { scheduler: self.name.clone(), input: Some(input), tenant: tenant.to_string() };
        let answer = self.link.call(|mut client| async move { client.tokenize(request).await }).await?;
        Ok(answer.tokens)
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        let request = self.tokens_request(tokens);
        Ok(self.link.call(|mut client| async move { client.detokenize(request).await }).await?.text)
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        let request = self.tokens_request(tokens);
        Ok(self.link.call(|mut client| async move { client.pieces(request).await }).await?.pieces)
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, RequestError> {
        let EmbeddingRequest { tenant, inputs } = request;
        let inputs = inputs.into_iter().map(Into::into).collect();
        let request = proto::EmbedRequest { scheduler: self.name.clone(), inputs, tenant: tenant.to_string() };
        Ok(self.link.call(|mut client| async move { client.embed(request).await }).await?.into())
    }

    async fn cancel(&self, id: RequestId) -> bool {
        let request = proto::CancelRequest { scheduler: self.name.clone(), request: id.to_string() };
        let answer = self.link.call(|mut client| async move { client.cancel(request).await }).await;
        // A lost worker has no requests.
        answer.is_ok_and(|answer| answer.found)
    }

    async fn drain(&self) {
        let request = self.scheduler_request();
        // A lost worker has nothing to finish.
        if let Err(error) = self.link.call(|mut client| async move { client.drain(request).await }).await {
            tracing::warn!(scheduler = %self.id, %error, "cannot drain the scheduler");
        }
    }

    async fn resume(&self) {
        let request = self.scheduler_request();
        if let Err(error) = self.link.call(|mut client| async move { client.resume(request).await }).await {
            tracing::warn!(scheduler = %self.id, %error, "cannot resume the scheduler");
        }
    }

    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError> {
        let request = proto::ClaimRequest {
            scheduler: self.name.clone(),
            owner: claim.owner,
            ttl: Some(duration_to_proto(claim.ttl)),
            drain: proto::ClaimDrain::from(claim.drain).into(),
        };
        let answer = self.link.call(|mut client| async move { client.claim(request).await }).await?;
        let token = FencingToken(answer.token);
        self.wait_for_snapshot(|snapshot| snapshot.claim.as_ref().is_some_and(|claim| claim.token == token)).await;
        Ok(token)
    }

    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError> {
        let request = self.claimed_request(token);
        Ok(self.link.call(|mut client| async move { client.heartbeat(request).await }).await?.held)
    }

    async fn release(&self, token: FencingToken) -> Result<bool, RequestError> {
        let request = self.claimed_request(token);
        let held = self.link.call(|mut client| async move { client.release(request).await }).await?.held;
        if held {
            self.wait_for_snapshot(|snapshot| snapshot.claim.as_ref().is_none_or(|claim| claim.token != token)).await;
        }
        Ok(held)
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        None
    }

    fn is_remote(&self) -> bool {
        true
    }
}
