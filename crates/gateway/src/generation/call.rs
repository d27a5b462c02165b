//! A call of a generation endpoint, from its extraction to its response.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures::future::LocalBoxFuture;
use hostler_protocol::{ModelId, Prompt, RequestError, RequestId};

use super::answer::collect;
use super::start::{StartRequest, start};
use super::stream::{ResponseFormat, stream_response};
use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::request::{Dialect, GenerationBody, HeaderOptions, Json, Parameters, remove_system_lines};

/// An authenticated request for generations, whose body includes the options from its headers.
pub(crate) struct GenerationCall {
    state: web::Data<AppState>,
    pub(crate) context: RequestContext,
    caller: Caller,
    pub(crate) body: GenerationBody,
}

impl GenerationCall {
    /// A call whose body was read in another form.
    pub(crate) fn new(
        state: web::Data<AppState>,
        context: RequestContext,
        caller: Caller,
        options: HeaderOptions,
        mut body: GenerationBody,
    ) -> Self {
        options.fill(&mut body);
        Self { state, context, caller, body }
    }

    /// Validates every field except the model and the prompt.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(crate) fn parameters(&self, dialect: Dialect) -> Result<Parameters, RequestError> {
        Parameters::read(&self.body, dialect, &self.state.config, &self.context)
    }

    /// Generates, and responds in `format`, which gets the response's id and model.
    ///
    /// # Errors
    /// Whatever fails before the first token, or, without `stream`, before the end.
    pub(crate) async fn respond<F: ResponseFormat>(
        self,
        mut prompts: Vec<Prompt>,
        parameters: Parameters,
        format: impl FnOnce(RequestId, ModelId) -> F,
    ) -> Result<HttpResponse, ApiError> {
        let Self { state, context, caller, body } = self;
        let model = caller.model_id(&state, body.model.as_deref())?;
        for prompt in &mut prompts {
            if let Prompt::Chat(chat) = prompt {
                remove_system_lines(&mut chat.messages, &state.system_lines_removed);
            }
        }
        let (stream, include_usage, names) = (parameters.stream, parameters.include_usage, parameters.names);
        let request = StartRequest { model, prompts, parameters, caller };
        let started = start(&state, &context, request).await.map_err(|error| names.put_into(error))?;
        let format = format(started.id, started.model.clone());
        if stream {
            return Ok(stream_response(state, context, started, include_usage, format));
        }
        let (answers, tally) = collect(&state, &context, started).await?;
        Ok(format.whole(&answers, &tally))
    }
}

impl FromRequest for GenerationCall {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let state = AppState::of(&request)?.clone();
            let context = RequestContext::extract(&request).await?;
            let caller = Caller::extract(&request).await?;
            let options = HeaderOptions::extract(&request).await?;
            let Json(body) = Json::<GenerationBody>::from_request(&request, &mut payload).await?;
            Ok(Self::new(state, context, caller, options, body))
        })
    }
}
