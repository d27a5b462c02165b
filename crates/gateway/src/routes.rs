//! Which path leads where.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use hostler_protocol::{ErrorCode, RequestError};
use serde::Serialize;

use crate::error::ApiError;
use crate::{benchmarks, claims, cluster, explain, native, openai, operations};

/// One endpoint, as `GET /` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    summary: &'static str,
}

const fn endpoint(method: &'static str, path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method, path, summary }
}

/// Every endpoint. A test holds this list and [`configure`] together.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/", "this list"),
    endpoint("GET", "/health", "what is up, for people"),
    endpoint("GET", "/livez", "whether the process answers"),
    endpoint("GET", "/readyz", "whether new requests should come here"),
    endpoint("GET", "/metrics", "Prometheus metrics"),
    endpoint("GET", "/v1/models", "the models that are served"),
    endpoint("GET", "/v1/models/{id}", "one model"),
    endpoint("POST", "/v1/chat/completions", "answer a conversation (OpenAI)"),
    endpoint("POST", "/v1/completions", "continue prompts (OpenAI)"),
    endpoint("POST", "/v1/embeddings", "vectors that stand for texts (OpenAI)"),
    endpoint("DELETE", "/v1/requests/{id}", "cancel a request"),
    endpoint("POST", "/tokenize", "text or messages to tokens (vLLM)"),
    endpoint("POST", "/detokenize", "tokens to text (vLLM)"),
    endpoint("POST", "/generate", "continue a prompt"),
    endpoint("POST", "/generate_stream", "continue a prompt, token by token"),
    endpoint("POST", "/encode", "text to tokens"),
    endpoint("GET", "/model/info", "what the model is and what it can do"),
    endpoint("POST", "/benchmark", "measure a scheduler, and wait for the result (admin)"),
    endpoint("POST", "/v1/benchmarks", "order a benchmark of a scheduler (admin)"),
    endpoint("GET", "/v1/benchmarks", "the benchmarks that are remembered (admin)"),
    endpoint("GET", "/v1/benchmarks/{id}", "one benchmark, with its result (admin)"),
    endpoint("DELETE", "/v1/benchmarks/{id}", "cancel a benchmark (admin)"),
    endpoint("GET", "/v1/benchmarks/{id}/events", "how a benchmark goes on, as events (admin)"),
    endpoint("GET", "/admin/cluster", "nodes, schedulers and claims"),
    endpoint("GET", "/admin/schedulers", "state and load of every scheduler"),
    endpoint("GET", "/admin/route/explain", "where a request would go, and why"),
    endpoint("POST", "/admin/claims", "claim a scheduler"),
    endpoint("GET", "/admin/claims", "the claims on schedulers"),
    endpoint("DELETE", "/admin/claims/{token}", "give a claimed scheduler back"),
    endpoint("POST", "/admin/claims/{token}/heartbeat", "keep a claim alive"),
];

/// Adds every endpoint to an application.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    let mut add_all = |path: &str, routes: Vec<actix_web::Route>| {
        let resource = routes.into_iter().fold(web::resource(path), actix_web::Resource::route);
        app.service(resource.default_service(web::to(method_not_allowed)));
    };
    add_all("/v1/benchmarks", vec![web::post().to(benchmarks::create), web::get().to(benchmarks::list)]);
    add_all("/v1/benchmarks/{id}", vec![web::get().to(benchmarks::get), web::delete().to(benchmarks::cancel)]);
    add_all("/admin/claims", vec![web::post().to(claims::create), web::get().to(claims::list)]);
    let mut add = |path: &str, route: actix_web::Route| add_all(path, vec![route]);
    add("/", web::get().to(operations::index));
    add("/health", web::get().to(operations::health));
    add("/livez", web::get().to(operations::livez));
    add("/readyz", web::get().to(operations::readyz));
    add("/metrics", web::get().to(operations::metrics));
    add("/v1/models", web::get().to(openai::models));
    // Models are named like `owner/name` on the hub.
    add("/v1/models/{id:.+}", web::get().to(openai::model));
    add("/v1/chat/completions", web::post().to(openai::chat));
    add("/v1/completions", web::post().to(openai::completions));
    add("/v1/embeddings", web::post().to(openai::embeddings));
    add("/v1/requests/{id}", web::delete().to(openai::cancel));
    add("/tokenize", web::post().to(openai::tokenize));
    add("/detokenize", web::post().to(openai::detokenize));
    add("/generate", web::post().to(native::generate));
    add("/generate_stream", web::post().to(native::generate_stream));
    add("/encode", web::post().to(native::encode));
    add("/model/info", web::get().to(native::model_info));
    add("/benchmark", web::post().to(benchmarks::run));
    add("/v1/benchmarks/{id}/events", web::get().to(benchmarks::events));
    add("/admin/cluster", web::get().to(cluster::cluster));
    add("/admin/schedulers", web::get().to(operations::schedulers));
    add("/admin/route/explain", web::get().to(explain::explain));
    add("/admin/claims/{token}", web::delete().to(claims::release));
    add("/admin/claims/{token}/heartbeat", web::post().to(claims::heartbeat));
    app.default_service(web::to(not_found));
}

/// Another method is wanted. Every path has one.
async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let pattern = request.match_pattern().unwrap_or_default().replace(":.+}", "}");
    let allowed = ENDPOINTS.iter().filter(|endpoint| endpoint.path == pattern).map(|endpoint| endpoint.method);
    Err(ApiError::MethodNotAllowed { allowed: allowed.collect::<Vec<_>>().join(", ") })
}

/// No such path.
async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (method, path): (&Method, &str) = (request.method(), request.path());
    let message = format!("there is no {method} {path} here; GET / lists the endpoints");
    Err(RequestError::new(ErrorCode::NotFound, message).into())
}
