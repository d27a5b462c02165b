//! From prompts to running generations.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::try_join_all;
use hostler_protocol::{GenerationRequest, ModelId, Prompt, RequestError, RequestId, TokenEvent};
use hostler_router::RoutedGeneration;
use tokio::time::timeout_at;

use super::choice_id::choice_id;
use super::running::{Running, lost, overdue_at};
use crate::auth::Caller;
use crate::body::Parameters;
use crate::exchange::{Exchange, GenerationNotes};
use crate::shared::Shared;
use crate::timing::ServerTiming;

/// What a client wants.
pub(crate) struct Asked {
    pub(crate) model: ModelId,
    /// One or more; each is answered `parameters.n` times.
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) parameters: Parameters,
    pub(crate) caller: Caller,
}

/// Generations of which the first event is there.
pub(crate) struct Begun {
    /// Stands in the answer, and cancels all of it.
    pub(crate) id: RequestId,
    pub(crate) model: ModelId,
    /// Answers to each prompt: choice `i` answers prompt `i / n`.
    pub(crate) n: u32,
    pub(crate) choices: usize,
    pub(super) running: Running,
    /// The event that was waited for, to be handled before what `running` says.
    pub(super) first: Option<(usize, TokenEvent)>,
}

/// Submits the generations and waits for the first token, so that what fails
/// before it can have a status of its own.
///
/// # Errors
/// What the router answers, or the failure that came instead of a token.
pub(crate) async fn start(shared: &Shared, exchange: &Exchange, asked: Asked) -> Result<Begun, RequestError> {
    let (n, model) = (asked.parameters.n, asked.model.clone());
    exchange.generation.replace(Some(GenerationNotes {
        model: model.clone(),
        tenant: shared.keys.label(&asked.caller.tenant).to_owned(),
        priority: asked.parameters.priority,
        max_tokens: asked.parameters.stop.max_tokens,
        temperature: asked.parameters.sampling.temperature,
    }));
    let requests = requests(asked, exchange);
    let deadline = requests.first().and_then(|request| request.deadline);
    let choices = requests.len();
    // Boxed: the future of a submission holds the whole request, and this one
    // is part of every handler's.
    let submission = try_join_all(requests.into_iter().map(|request| shared.router.generate(request))).boxed();
    let submitted = Instant::now();
    let generations = match deadline {
        Some(deadline) => timeout_at(overdue_at(deadline), submission).await.map_err(|_| lost())??,
        None => submission.await?,
    };
    exchange.admitted.set(Some((submitted.saturating_duration_since(exchange.started), exchange.elapsed())));
    note(&generations, n, exchange);
    let mut running = Running::new(generations.into_iter(), deadline);
    let first = first_output(&mut running, exchange, submitted).await?;
    Ok(Begun { id: exchange.id, model, n, choices, running, first })
}

/// One generation request for each answer wanted.
fn requests(asked: Asked, exchange: &Exchange) -> Vec<GenerationRequest> {
    let Asked { model, prompts, parameters, caller } = asked;
    let now = Instant::now();
    let mut requests = Vec::with_capacity(prompts.len() * parameters.n as usize);
    for prompt in prompts {
        for answer in 0..parameters.n {
            let mut request = parameters.request(model.clone(), prompt.clone(), caller.tenant.clone(), answer, now);
            request.claim = caller.claim;
            let index = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            request.id = choice_id(exchange.id, index).unwrap_or(request.id);
            request.trace = exchange.span;
            requests.push(request);
        }
    }
    requests
}

fn note(generations: &[RoutedGeneration], n: u32, exchange: &Exchange) {
    for generation in generations {
        exchange.taken_by(&generation.scheduler, &generation.description);
    }
    let prompts = generations.iter().step_by(n as usize);
    exchange.prompt_tokens.set(Some(prompts.map(|generation| generation.prompt_tokens).sum()));
}

/// Waits for a token or an end. The time that a stream knows of when its head
/// goes out is taken here, from the gateway's side.
async fn first_output(
    running: &mut Running,
    exchange: &Exchange,
    submitted: Instant,
) -> Result<Option<(usize, TokenEvent)>, RequestError> {
    let mut queue: Option<Duration> = None;
    loop {
        match running.next().await {
            Some((_, TokenEvent::Started(_))) => {
                queue.get_or_insert_with(|| submitted.elapsed());
            }
            Some((_, TokenEvent::Failed(error))) => return Err(error),
            first => {
                if matches!(first, Some((_, TokenEvent::Token(_)))) {
                    exchange.first_token.set(Some(exchange.elapsed()));
                }
                let prefill = queue.map(|queue| submitted.elapsed().saturating_sub(queue));
                let total = Some(exchange.elapsed());
                exchange.timing.set(Some(ServerTiming { queue, prefill, decode: None, total }));
                return Ok(first);
            }
        }
    }
}
