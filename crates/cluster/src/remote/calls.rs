//! What can be asked of a scheduler, asked over the network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    ClaimRequest, EmbeddingInput, Embeddings, FencingToken, GenerationRequest, RequestError, RequestId, SchedulerId,
    TokenId,
};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, TokenizeInput};
use tokio::sync::watch;
use tonic::Streaming;

use super::link::unavailable;
use super::scheduler::RemoteScheduler;
use super::stream::{Held, RemoteStream};
use crate::wire::proto::{self, tokenize_request};
use crate::wire::{Malformed, chat_message, refusal, request_message};

/// A worker's snapshots follow what it does by less: they come on each change.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// The worker's answer to a request.
type Admitted = (Streaming<proto::GenerateReply>, u32, Vec<proto::TokenEvent>);

impl RemoteScheduler {
    /// Sends a request, and waits for its admission.
    async fn admission(&self, request: GenerationRequest) -> Result<Admitted, RequestError> {
        let message = proto::GenerateRequest {
            scheduler: self.name.clone(),
            request: Some(request_message(request, Instant::now())),
        };
        let answer = self.link.client().generate(message).await.map_err(|status| refusal(&status))?;
        let mut replies = answer.into_inner();
        let first = replies.message().await.map_err(|status| refusal(&status))?;
        let first = first.ok_or_else(|| unavailable("the worker ended the answer before it began"))?;
        let accepted = first.accepted.ok_or_else(|| Malformed("the admission is missing".to_owned()))?;
        Ok((replies, accepted.prompt_tokens, first.events))
    }

    /// Waits until what the worker has answered is what its snapshots say, so that who
    /// asks next finds it so. A worker that is lost in between says nothing any more.
    async fn until_shown(&self, shown: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.subscribe();
        if tokio::time::timeout(SHOWN_WITHIN, snapshot.wait_for(shown)).await.is_err() {
            tracing::debug!(scheduler = %self.id, "the worker does not show yet what it has done");
        }
    }

    fn named(&self) -> proto::SchedulerRequest {
        proto::SchedulerRequest { scheduler: self.name.clone() }
    }

    fn claimed(&self, token: FencingToken) -> proto::ClaimedRequest {
        proto::ClaimedRequest { scheduler: self.name.clone(), token: token.0 }
    }

    fn tokens(&self, tokens: Vec<TokenId>) -> proto::TokensRequest {
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
        let entered = self.link.enter()?;
        let permit = self.link.permit()?;
        let (replies, prompt_tokens, ready) = tokio::select! {
            admitted = self.admission(request) => admitted?,
            why = entered.cut() => return Err(unavailable(&why)),
        };
        let events = RemoteStream::new(Held { replies, entered, _permit: permit }, ready);
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens, events: Box::pin(events) })
    }

    async fn tokenize(&self, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        let input = match input {
            TokenizeInput::Text { text, add_special } => {
                tokenize_request::Input::Text(proto::TextInput { text, add_special })
            }
            TokenizeInput::Chat(messages) => tokenize_request::Input::Chat(chat_message(messages)),
        };
        let request = proto::TokenizeRequest { scheduler: self.name.clone(), input: Some(input) };
        let answer = self.link.call(|mut client| async move { client.tokenize(request).await }).await?;
        Ok(answer.tokens)
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        let request = self.tokens(tokens);
        Ok(self.link.call(|mut client| async move { client.detokenize(request).await }).await?.text)
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        let request = self.tokens(tokens);
        Ok(self.link.call(|mut client| async move { client.pieces(request).await }).await?.pieces)
    }

    async fn embed(&self, inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        let inputs = inputs.into_iter().map(Into::into).collect();
        let request = proto::EmbedRequest { scheduler: self.name.clone(), inputs };
        Ok(self.link.call(|mut client| async move { client.embed(request).await }).await?.into())
    }

    async fn cancel(&self, id: RequestId) -> bool {
        let request = proto::CancelRequest { scheduler: self.name.clone(), request: id.to_string() };
        let answer = self.link.call(|mut client| async move { client.cancel(request).await }).await;
        // What a lost worker had is over.
        answer.is_ok_and(|answer| answer.found)
    }

    async fn drain(&self) {
        let request = self.named();
        // A worker that is lost has nothing left to finish.
        if let Err(error) = self.link.call(|mut client| async move { client.drain(request).await }).await {
            tracing::warn!(scheduler = %self.id, %error, "the worker was not drained");
        }
    }

    async fn resume(&self) {
        let request = self.named();
        if let Err(error) = self.link.call(|mut client| async move { client.resume(request).await }).await {
            tracing::warn!(scheduler = %self.id, %error, "the worker was not resumed");
        }
    }

    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError> {
        let request = proto::ClaimRequest {
            scheduler: self.name.clone(),
            owner: claim.owner,
            ttl: Some(claim.ttl.into()),
            drain: proto::ClaimDrain::from(claim.drain).into(),
        };
        let answer = self.link.call(|mut client| async move { client.claim(request).await }).await?;
        let token = FencingToken(answer.token);
        self.until_shown(|snapshot| snapshot.claim.as_ref().is_some_and(|claim| claim.token == token)).await;
        Ok(token)
    }

    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError> {
        let request = self.claimed(token);
        Ok(self.link.call(|mut client| async move { client.heartbeat(request).await }).await?.held)
    }

    async fn release(&self, token: FencingToken) -> Result<bool, RequestError> {
        let request = self.claimed(token);
        let held = self.link.call(|mut client| async move { client.release(request).await }).await?.held;
        if held {
            self.until_shown(|snapshot| snapshot.claim.as_ref().is_none_or(|claim| claim.token != token)).await;
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
