//! The gRPC service: each call goes to the scheduler that it names.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt, stream};
use hostler_protocol::{ClaimRequest, EmbeddingRequest, FencingToken, TenantId};
use hostler_scheduler::{Generation, Scheduler, TokenizeInput};
use tonic::{Request, Response, Status};

use super::node::Node;
use super::observe::observe;
use crate::transport::EVENTS_MAX;
use crate::wire::proto::{self, tokenize_request, worker_server};
use crate::wire::{self, Malformed, error_to_status, event_to_proto};

/// The service of one node.
pub(super) struct WorkerService(pub(super) Arc<Node>);

/// The answer to a unary call.
type Answer<T> = Result<Response<T>, Status>;

/// The answer to a streaming call.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl WorkerService {
    fn scheduler(&self, name: &str) -> Result<&Arc<dyn Scheduler>, Status> {
        self.0.scheduler(name).map_err(error_to_status)
    }
}

fn malformed(malformed: Malformed) -> Status {
    error_to_status(malformed.into())
}

/// The admission, then the events. Events that are ready at the same time are sent in one message.
/// Dropping the stream drops the generation.
fn replies(generation: Generation) -> impl Stream<Item = Result<proto::GenerateReply, Status>> {
    let accepted = proto::Accepted { prompt_tokens: generation.prompt_tokens };
    let admission = proto::GenerateReply { accepted: Some(accepted), events: Vec::new() };
    let events = generation.events.ready_chunks(EVENTS_MAX).map(|events| {
        let events = events.into_iter().map(event_to_proto).collect();
        Ok(proto::GenerateReply { accepted: None, events })
    });
    stream::once(async { Ok(admission) }).chain(events)
}

#[tonic::async_trait]
impl worker_server::Worker for WorkerService {
    type ObserveStream = Answers<proto::Observation>;
    type GenerateStream = Answers<proto::GenerateReply>;

    async fn describe(&self, _: Request<proto::DescribeRequest>) -> Answer<proto::Node> {
        Ok(Response::new(self.0.describe()))
    }

    async fn observe(&self, request: Request<proto::ObserveRequest>) -> Answer<Self::ObserveStream> {
        Ok(Response::new(Box::pin(observe(Arc::clone(&self.0), request.into_inner().metrics))))
    }

    async fn generate(&self, request: Request<proto::GenerateRequest>) -> Answer<Self::GenerateStream> {
        let proto::GenerateRequest { scheduler, request } = request.into_inner();
        let request = request.ok_or_else(|| malformed(Malformed("the request is missing".to_owned())))?;
        let request = wire::request_from_proto(request, Instant::now()).map_err(malformed)?;
        let generation = self.scheduler(&scheduler)?.submit(request).await.map_err(error_to_status)?;
        Ok(Response::new(Box::pin(replies(generation))))
    }

    async fn tokenize(&self, request: Request<proto::TokenizeRequest>) -> Answer<proto::Tokens> {
        let proto::TokenizeRequest { scheduler, input, tenant } = request.into_inner();
        let input = match input.ok_or_else(|| malformed(Malformed("the input is missing".to_owned())))? {
            tokenize_request::Input::Text(proto::TextInput { text, add_special }) => {
                TokenizeInput::Text { text, add_special }
            }
            tokenize_request::Input::Chat(chat) => TokenizeInput::Chat(wire::chat_from_proto(chat).map_err(malformed)?),
        };
        let tokens =
            self.scheduler(&scheduler)?.tokenize(&TenantId::from(tenant), input).await.map_err(error_to_status)?;
        Ok(Response::new(proto::Tokens { tokens }))
    }

    async fn detokenize(&self, request: Request<proto::TokensRequest>) -> Answer<proto::DetokenizeReply> {
        let proto::TokensRequest { scheduler, tokens } = request.into_inner();
        let text = self.scheduler(&scheduler)?.detokenize(tokens).await.map_err(error_to_status)?;
        Ok(Response::new(proto::DetokenizeReply { text }))
    }

    async fn pieces(&self, request: Request<proto::TokensRequest>) -> Answer<proto::PiecesReply> {
        let proto::TokensRequest { scheduler, tokens } = request.into_inner();
        let pieces = self.scheduler(&scheduler)?.pieces(tokens).await.map_err(error_to_status)?;
        Ok(Response::new(proto::PiecesReply { pieces }))
    }

    async fn embed(&self, request: Request<proto::EmbedRequest>) -> Answer<proto::Embeddings> {
        let proto::EmbedRequest { scheduler, inputs, tenant } = request.into_inner();
        let inputs = inputs.into_iter().map(TryInto::try_into).collect::<Result<_, _>>().map_err(malformed)?;
        let request = EmbeddingRequest { tenant: TenantId::from(tenant), inputs };
        let embeddings = self.scheduler(&scheduler)?.embed(request).await.map_err(error_to_status)?;
        Ok(Response::new(embeddings.into()))
    }

    async fn cancel(&self, request: Request<proto::CancelRequest>) -> Answer<proto::CancelReply> {
        let proto::CancelRequest { scheduler, request } = request.into_inner();
        let id = request.parse().map_err(|_| malformed(Malformed(format!("{request:?} is not a request id"))))?;
        let found = self.scheduler(&scheduler)?.cancel(id).await;
        Ok(Response::new(proto::CancelReply { found }))
    }

    async fn claim(&self, request: Request<proto::ClaimRequest>) -> Answer<proto::ClaimReply> {
        let request = request.into_inner();
        let drain = request.drain().try_into().map_err(malformed)?;
        let ttl = wire::required_duration(request.ttl, "claim.ttl").map_err(malformed)?;
        let claim = ClaimRequest { owner: request.owner, ttl, drain };
        let token = self.scheduler(&request.scheduler)?.claim(claim).await.map_err(error_to_status)?;
        Ok(Response::new(proto::ClaimReply { token: token.0 }))
    }

    async fn heartbeat(&self, request: Request<proto::ClaimedRequest>) -> Answer<proto::ClaimedReply> {
        let proto::ClaimedRequest { scheduler, token } = request.into_inner();
        let held = self.scheduler(&scheduler)?.heartbeat(FencingToken(token)).await.map_err(error_to_status)?;
        Ok(Response::new(proto::ClaimedReply { held }))
    }

    async fn release(&self, request: Request<proto::ClaimedRequest>) -> Answer<proto::ClaimedReply> {
        let proto::ClaimedRequest { scheduler, token } = request.into_inner();
        let held = self.scheduler(&scheduler)?.release(FencingToken(token)).await.map_err(error_to_status)?;
        Ok(Response::new(proto::ClaimedReply { held }))
    }

    async fn drain(&self, request: Request<proto::SchedulerRequest>) -> Answer<proto::Done> {
        self.scheduler(&request.into_inner().scheduler)?.drain().await;
        Ok(Response::new(proto::Done {}))
    }

    async fn resume(&self, request: Request<proto::SchedulerRequest>) -> Answer<proto::Done> {
        self.scheduler(&request.into_inner().scheduler)?.resume().await;
        Ok(Response::new(proto::Done {}))
    }
}
