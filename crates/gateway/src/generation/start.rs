//! From prompts to running generations.
//!
//! An HTTP request's id has its last seven bits cleared, and its `index`-th generation has
//! `index` in them. So a response's id names all of its generations, and
//! `DELETE /v1/requests/{id}` finds them without a table, on any gateway.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use hostler_protocol::{ErrorCode, GenerationRequest, ModelId, Prompt, RequestError, RequestId, TokenEvent};
use hostler_router::Router;
use tokio::time::timeout_at;

use super::running::{Events, RunningChoices, Submit, lost, overdue_at};
use crate::http::auth::Caller;
use crate::http::context::{GenerationLabels, RequestContext};
use crate::http::limits::{ANSWER_BITS, ANSWERS_MAX, CONCURRENT_MAX};
use crate::http::state::AppState;
use crate::http::timing::ServerTiming;
use crate::request::Parameters;

/// The generations that a client requests.
pub(super) struct StartRequest {
    pub(super) model: ModelId,
    /// One or more; each is answered `parameters.n` times.
    pub(super) prompts: Vec<Prompt>,
    pub(super) parameters: Parameters,
    pub(super) caller: Caller,
}

/// Generations of which the first event has arrived.
pub(super) struct StartedGeneration {
    /// The id in the response, which cancels all generations.
    pub(super) id: RequestId,
    pub(super) model: ModelId,
    /// Answers per prompt: choice `i` answers prompt `i / n`.
    pub(super) n: u32,
    pub(super) choices: usize,
    pub(super) running: RunningChoices,
    /// The first event, to be handled before those of `running`.
    pub(super) first: Option<(usize, TokenEvent)>,
}

/// Submits the generations and waits for the first token, so that a failure before it can
/// determine the response's status.
///
/// # Errors
/// The router's error, or the failure that arrived instead of a token.
pub(super) async fn start(
    state: &AppState,
    context: &RequestContext,
    mut request: StartRequest,
) -> Result<StartedGeneration, RequestError> {
    let priority = request.caller.priority(request.parameters.priority)?;
    request.parameters.priority = Some(priority);
    let (n, model) = (request.parameters.n, request.model.clone());
    context.generation.replace(Some(GenerationLabels {
        model: model.clone(),
        tenant: state.keys.table().label(request.caller.tenant()).to_owned(),
        priority,
        max_tokens: request.parameters.stop.max_tokens,
        temperature: request.parameters.sampling.temperature,
    }));
    let requests = requests(request, context);
    let deadline = requests.first().and_then(|request| request.deadline);
    let choices = requests.len();
    let submit = submit(state.router.clone(), context.clone(), requests, n);
    // Boxed: the future of a submission holds the whole request, and would be part of the
    // future of every generation handler.
    let submission = join_all((0..choices.min(CONCURRENT_MAX)).map(&submit)).boxed_local();
    let submitted = Instant::now();
    let submissions = match deadline {
        Some(deadline) => timeout_at(overdue_at(deadline), submission).await.map_err(|_| lost())?,
        None => submission.await,
    };
    let admitted = admitted(submissions)?;
    context.admitted.set(Some((submitted.saturating_duration_since(context.started), context.elapsed())));
    let mut running = RunningChoices::new(choices, admitted.into_iter(), submit, deadline);
    let first = first_output(&mut running, context, submitted).await?;
    Ok(StartedGeneration { id: context.id, model, n, choices, running, first })
}

/// Submits one of `requests`, by its index.
fn submit(router: Router, context: RequestContext, requests: Vec<GenerationRequest>, n: u32) -> Submit {
    Box::new(move |index| {
        let (router, context, request) = (router.clone(), context.clone(), requests[index].clone());
        async move {
            let generation = router.generate(request).await?;
            context.accepted_by(&generation.scheduler, &generation.description);
            context.route_reason.set(Some(generation.reason.as_str()));
            if index % n as usize == 0 {
                let before = context.prompt_tokens.get().unwrap_or(0);
                context.prompt_tokens.set(Some(before + generation.prompt_tokens));
            }
            Ok(generation.events)
        }
        .boxed_local()
    })
}

/// Those that were admitted. The others wait until one of these has ended, if all that they lack
/// is room.
///
/// # Errors
/// One cannot be admitted later either, or none was.
fn admitted(submissions: Vec<Result<Events, RequestError>>) -> Result<Vec<(usize, Events)>, RequestError> {
    let mut admitted = Vec::with_capacity(submissions.len());
    let mut refusal = None;
    for (index, submission) in submissions.into_iter().enumerate() {
        match submission {
            Ok(events) => admitted.push((index, events)),
            Err(error) if error.code == ErrorCode::Overloaded => refusal = refusal.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match refusal {
        Some(refusal) if admitted.is_empty() => Err(refusal),
        _ => Ok(admitted),
    }
}

/// One generation request per answer.
fn requests(request: StartRequest, context: &RequestContext) -> Vec<GenerationRequest> {
    let StartRequest { model, prompts, parameters, caller } = request;
    let now = Instant::now();
    let mut requests = Vec::with_capacity(prompts.len() * parameters.n as usize);
    for prompt in prompts {
        for answer in 0..parameters.n {
            let mut request = parameters.request(model.clone(), prompt.clone(), caller.tenant().clone(), answer, now);
            request.claim = caller.claim;
            let index = u32::try_from(requests.len()).unwrap_or(u32::MAX);
            request.id = choice_id(context.id, index).unwrap_or(request.id);
            request.trace = context.span;
            requests.push(request);
        }
    }
    requests
}

/// Waits for a token or an end. The times in a stream's head are measured here, by the
/// gateway, because the scheduler reports its own only at the end.
async fn first_output(
    running: &mut RunningChoices,
    context: &RequestContext,
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
                    context.first_token.set(Some(context.elapsed()));
                }
                let prefill = queue.map(|queue| submitted.elapsed().saturating_sub(queue));
                let total = Some(context.elapsed());
                context.timing.set(Some(ServerTiming { queue, prefill, decode: None, total }));
                return Ok(first);
            }
        }
    }
}

/// The id of the request whose response has this id, with or without the prefix.
///
/// # Errors
/// `InvalidRequest`, naming `id`.
pub(crate) fn response_id(id: &str) -> Result<RequestId, RequestError> {
    let digits = ["chatcmpl-", "cmpl-", "gen-", "msg_"].iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id);
    digits.parse().map_err(|_| RequestError::invalid("id", "id is not the id of a response"))
}

/// The ids of all generations that the request of this id may have.
pub(crate) fn choice_ids(id: RequestId) -> impl Iterator<Item = RequestId> {
    (0..ANSWERS_MAX).filter_map(move |index| choice_id(id, index))
}

/// The id of the `index`-th generation. It is never `None`, because the result always has two
/// hexadecimal digits.
pub(crate) fn choice_id(id: RequestId, index: u32) -> Option<RequestId> {
    let text = id.to_string();
    let (rest, last) = text.split_at(text.len().checked_sub(2)?);
    let last = u32::from_str_radix(last, 16).ok()? & !ANSWER_BITS;
    format!("{rest}{:02x}", last | (index & ANSWER_BITS)).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_id_of_any_generation_yields_all_ids_of_its_request() {
        let id = RequestId::new();
        let all: HashSet<_> = choice_ids(id).collect();
        assert_eq!(all.len(), ANSWERS_MAX as usize);
        for one in &all {
            assert_eq!(choice_ids(*one).collect::<HashSet<_>>(), all);
        }
    }
}
