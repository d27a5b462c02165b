//! Checks of requests and their answers.

use futures::future::try_join_all;
use hostler_executor::contract::Violation;
use hostler_protocol::{ChatMessage, ErrorCode, FinishReason, GenerationRequest, Prompt, RequestError, Role, TenantId};

use super::support::{ensure, is_idle, read, refusal, request, submit, until};
use crate::{Scheduler, TokenizeInput};

pub(super) async fn answered(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let answers = try_join_all((0..40).map(|_| async {
        let generation = submit(scheduler, request(10, 20)).await?;
        ensure!(
            generation.scheduler == *scheduler.id(),
            "a request to {} was admitted by {}",
            scheduler.id(),
            generation.scheduler
        );
        ensure!(generation.prompt_tokens == 10, "a prompt of 10 tokens is reported as {}", generation.prompt_tokens);
        read(generation).await
    }));
    for answer in answers.await? {
        let finish = answer.end.map_err(|error| Violation(error.to_string()))?;
        ensure!(answer.tokens.len() == 20 && answer.started, "{} tokens", answer.tokens.len());
        ensure!(finish.reason == FinishReason::Length, "it ended with {:?}", finish.reason);
        let usage = (finish.usage.prompt_tokens, finish.usage.completion_tokens);
        ensure!(usage == (10, 20), "its usage is {usage:?}");
    }
    until(scheduler, "it is idle", is_idle).await
}

pub(super) async fn prompts(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let message = ChatMessage::new(Role::User, "hello");
    for prompt in [Prompt::Text("once upon".to_owned()), Prompt::Chat(vec![message].into()), Prompt::Tokens(vec![1, 2])]
    {
        let request = GenerationRequest { prompt, ..request(0, 3) };
        let answer = read(submit(scheduler, request).await?).await?;
        ensure!(answer.end.is_ok() && answer.tokens.len() == 3, "{answer:?}");
    }
    Ok(())
}

pub(super) async fn repeated(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let whole = read(submit(scheduler, request(10, 12)).await?).await?.tokens;
    let again = read(submit(scheduler, request(10, 12)).await?).await?.tokens;
    ensure!(whole == again, "first {whole:?}, then {again:?}");
    let mut rest = request(10, 12);
    rest.continuation = whole[..5].to_vec();
    let rest = read(submit(scheduler, rest).await?).await?.tokens;
    ensure!(whole[5..] == rest[..], "{whole:?} continues after 5 tokens with {rest:?}");
    Ok(())
}

pub(super) async fn text(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let failed = |error: RequestError| Violation(error.to_string());
    let input = TokenizeInput::Text { text: "the sea is wide".to_owned(), add_special: false };
    let tokens = scheduler.tokenize(&TenantId::default(), input).await.map_err(failed)?;
    let text = scheduler.detokenize(tokens.clone()).await.map_err(failed)?;
    ensure!(text == "the sea is wide", "it decodes to {text:?}");
    let pieces = scheduler.pieces(tokens.clone()).await.map_err(failed)?;
    ensure!(pieces.len() == tokens.len() && pieces.concat() == text.as_bytes(), "its pieces are {pieces:?}");
    let unknown = scheduler.pieces(vec![u32::MAX]).await;
    ensure!(unknown.as_ref().is_err_and(|error| error.code == ErrorCode::InvalidRequest), "{unknown:?}");
    Ok(())
}

pub(super) async fn refused(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let error = refusal(scheduler, request(2000, 100)).await?;
    ensure!(
        (error.specific_name(), error.param.as_deref()) == ("context_length_exceeded", Some("max_tokens")),
        "2,100 tokens in a context of 2,048: {error:?}"
    );
    let error = refusal(scheduler, request(5000, 1)).await?;
    ensure!(error.param.as_deref() == Some("prompt") && error.message.contains("5000"), "{error:?}");
    ensure!(error.specific_name() == "context_length_exceeded", "{error:?}");
    let error = refusal(scheduler, request(1, 5000)).await?;
    ensure!(
        (error.specific_name(), error.param.as_deref()) == ("invalid_request", Some("max_tokens")),
        "no shorter prompt would fit: {error:?}"
    );
    let mut unknown = request(1, 1);
    unknown.prompt = Prompt::Tokens(vec![u32::MAX]);
    let error = refusal(scheduler, unknown).await?;
    ensure!(error.code == ErrorCode::InvalidRequest, "{error:?}");
    Ok(())
}
