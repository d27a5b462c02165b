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
use crate::request::{Dialect, GenerationBody, HeaderOptions, Json, Parameters};

/// An authenticated request for generations, whose body includes the options from its headers.
pub(crate) struct GenerationCall {
    state: web::Data<AppState>,
    pub(crate) context: RequestContext,
    caller: Caller,
    pub(crate) body: GenerationBody,
}

impl GenerationCall {
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
        prompts: Vec<Prompt>,
        parameters: Parameters,
        format: impl FnOnce(RequestId, ModelId) -> F,
    ) -> Result<HttpResponse, ApiError> {
        let Self { state, context, caller, body } = self;
        let model = caller.model_id(&state, body.model.as_deref())?;
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
            let Json(mut body) = Json::<GenerationBody>::from_request(&request, &mut payload).await?;
            options.fill(&mut body);
            Ok(Self { state, context, caller, body })
        })
    }
}
