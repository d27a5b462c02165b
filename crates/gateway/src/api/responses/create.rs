//! `POST /v1/responses`

use actix_web::{HttpResponse, web};
use hostler_protocol::{Conversation, ModelId, Prompt, RequestError, RequestId};
use serde_json::Value;

use super::PREFIX;
use super::body::ResponsesBody;
use super::format::ResponsesFormat;
use super::input::{conversation, items};
use super::object::{ResponseObject, State};
use super::stored::unknown;
use crate::generation::GenerationCall;
use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::state::{AppState, unix_seconds};
use crate::request::{Dialect, HeaderOptions, Json, Tools, template_variables};
use crate::stored::Record;

/// Answers items of a conversation, and stores the response (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "openai",
    responses((status = 200, description = "The response, or a stream of events")),
    security(("api_key" = []))
)]
pub(crate) async fn create_response(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    options: HeaderOptions,
    Json(mut body): Json<ResponsesBody>,
) -> Result<HttpResponse, ApiError> {
    let tenant = caller.tenant().clone();
    let responses = state.responses.clone().filter(|_| body.wants_store());
    if body.store == Some(true) && responses.is_none() {
        context.ignore("store");
    }
    let generation = body.generation(&context)?;
    let earlier = earlier(&state, &caller, &body)?;
    let call = GenerationCall::new(state, context, caller, options, generation);
    let parameters = call.parameters(Dialect::Responses)?;
    let earlier_items = earlier.len();
    let mut input = earlier;
    input.extend(items(body.input.take(), RequestId::new())?);
    let messages = conversation(body.instructions.as_deref(), &input, earlier_items)?;
    let effort = body.reasoning.as_ref().and_then(|reasoning| reasoning.effort);
    let variables = template_variables(effort, None)?;
    let tools = parameters.tools.as_ref().and_then(Tools::for_template);
    let object = ResponseObject::new(&body, &parameters, responses.is_some());
    let format = move |id: RequestId, model: ModelId| {
        let (name, created) = (format!("{PREFIX}{id}"), unix_seconds());
        let object = object.identified(&name, model.as_str(), created);
        let running = responses.map(|responses| {
            let response = object.in_state(&State::InProgress, &[], None);
            responses.begin(Record::new(name, tenant, created, response, input))
        });
        ResponsesFormat::new(id, object, running)
    };
    call.respond(vec![Prompt::Chat(Conversation { messages, tools, variables })], parameters, format).await
}

/// The items of the response that a request continues, with those that it was generated from.
fn earlier(state: &AppState, caller: &Caller, body: &ResponsesBody) -> Result<Vec<Value>, RequestError> {
    const FIELD: &str = "previous_response_id";
    let Some(id) = &body.previous_response_id else { return Ok(Vec::new()) };
    let record = state.responses.as_ref().and_then(|responses| responses.get(id, caller.tenant()));
    let record = record.ok_or_else(|| unknown(state, FIELD))?;
    if record.response["status"] == State::InProgress.name() {
        return Err(RequestError::invalid(FIELD, format!("{FIELD}: the response has not ended yet")));
    }
    let output = record.response["output"].as_array();
    Ok(record.input.iter().chain(output.into_iter().flatten()).cloned().collect())
}
