//! The routes, derived from the description on each handler.

use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard, web};
use hostler_protocol::{ErrorCode, RequestError};
use serde::Serialize;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use super::{admin, anthropic, benchmarks, health, native, openai};
use crate::http::bodies::Success;
use crate::http::error::ApiError;

/// Lists every handler once. What a handler's `#[utoipa::path]` says is its method, its path
/// and its summary; the operation's id is the function's name, which must be unique.
macro_rules! handlers {
    ($($($segment:ident)::+),+ $(,)?) => {
        #[derive(OpenApi)]
        #[openapi(paths($($($segment)::+),+))]
        struct Description;

        /// Every handler by its path in this module.
        const HANDLERS: &[(&str, fn() -> Route)] = &[$((stringify!($($segment)::+), || web::to($($segment)::+))),+];
    };
}

handlers![
    index,
    health::health,
    health::livez,
    health::readyz,
    health::metrics,
    openai::models::list_models,
    openai::models::get_model,
    openai::chat::chat_completions,
    openai::completions::completions,
    openai::embeddings::embeddings,
    openai::requests::cancel_request,
    openai::tokenize::tokenize,
    openai::tokenize::detokenize,
    anthropic::messages::messages,
    anthropic::count_tokens::count_tokens,
    native::generate::generate,
    native::generate::generate_stream,
    native::model::encode,
    native::model::model_info,
    benchmarks::run_benchmark,
    benchmarks::create_benchmark,
    benchmarks::list_benchmarks,
    benchmarks::get_benchmark,
    benchmarks::cancel_benchmark,
    benchmarks::benchmark_events,
    admin::cluster::cluster,
    admin::cluster::schedulers,
    admin::explain::explain_route,
    admin::claims::create_claim,
    admin::claims::list_claims,
    admin::claims::release_claim,
    admin::claims::renew_claim,
];

/// One endpoint.
struct Endpoint {
    method: Method,
    path: String,
    summary: String,
    handler: fn() -> Route,
}

/// Every endpoint, in the order of [`HANDLERS`].
static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let paths = Description::openapi().paths.paths;
    let described = |id: &str| {
        let mut all = paths.iter().flat_map(|(path, item)| operations(item).map(move |one| (path, one)));
        all.find(|(_, (_, operation))| operation.operation_id.as_deref() == Some(id))
    };
    let endpoint = |&(name, handler): &(&str, fn() -> Route)| {
        let id = name.rsplit("::").next().unwrap_or(name).trim();
        let (path, (method, operation)) = described(id).expect("`handlers!` lists only described handlers");
        let summary = operation.summary.as_deref().unwrap_or_default().trim_end_matches('.').to_owned();
        Endpoint { method, path: path.clone(), summary, handler }
    };
    HANDLERS.iter().map(endpoint).collect()
});

impl Endpoint {
    /// The methods that it answers: GET implies HEAD, whose answer is sent without its body.
    fn methods(&self) -> Vec<Method> {
        let mut methods = vec![self.method.clone()];
        if self.method == Method::GET {
            methods.push(Method::HEAD);
        }
        methods
    }

    fn route(&self) -> Route {
        let methods = self.methods();
        (self.handler)().guard(guard::fn_guard(move |request| methods.contains(&request.head().method)))
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [(Method::GET, &item.get), (Method::POST, &item.post), (Method::DELETE, &item.delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The pattern of a path in actix.
fn pattern(path: &str) -> &str {
    match path {
        // Models have names like `owner/name` on the hub.
        "/v1/models/{id}" => "/v1/models/{id:.+}",
        path => path,
    }
}

/// The endpoints of a path.
fn endpoints_of(path: &str) -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().filter(move |endpoint| endpoint.path == path)
}

/// Adds every endpoint to an application.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    let mut added: Vec<&str> = Vec::new();
    for Endpoint { path, .. } in &*ENDPOINTS {
        if added.contains(&path.as_str()) {
            continue;
        }
        added.push(path);
        let add = |resource: Resource, endpoint: &Endpoint| resource.route(endpoint.route());
        let resource = endpoints_of(path).fold(web::resource(pattern(path)), add);
        app.service(resource.default_service(web::to(move || method_not_allowed(path))));
    }
    app.default_service(web::to(not_found));
}

/// The path exists, for other methods.
async fn method_not_allowed(path: &'static str) -> Result<HttpResponse, ApiError> {
    let allowed: Vec<_> = endpoints_of(path).flat_map(Endpoint::methods).map(|method| method.to_string()).collect();
    Err(ApiError::MethodNotAllowed { allowed: allowed.join(", ") })
}

/// The path does not exist.
async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let message = format!("{} {} does not exist; GET / lists the endpoints", request.method(), request.path());
    Err(RequestError::new(ErrorCode::NotFound, message).into())
}

#[derive(Serialize)]
struct Index<'a> {
    name: &'static str,
    version: &'static str,
    endpoints: Vec<EndpointBody<'a>>,
}

#[derive(Serialize)]
struct EndpointBody<'a> {
    method: &'a str,
    path: &'a str,
    summary: &'a str,
}

/// Lists the endpoints.
#[utoipa::path(get, path = "/", tag = "health", responses((status = 200, description = "The endpoints")))]
pub(crate) async fn index() -> HttpResponse {
    let body = |endpoint: &'static Endpoint| EndpointBody {
        method: endpoint.method.as_str(),
        path: &endpoint.path,
        summary: &endpoint.summary,
    };
    let endpoints = ENDPOINTS.iter().map(body).collect();
    HttpResponse::Ok().json(Success::new(Index { name: "hostler", version: env!("CARGO_PKG_VERSION"), endpoints }))
}
