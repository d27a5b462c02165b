//! The routes, derived from the description on each handler.

use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard, web};
use hostler_protocol::{ErrorCode, RequestError};
use serde::Serialize;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use super::{admin, anthropic, benchmarks, health, native, openai, responses};
use crate::http::access::Access;
use crate::http::auth::authorize;
use crate::http::bodies::Success;
use crate::http::error::ApiError;

/// Lists every handler once, with who may use it: a route without an [`Access`] does not compile.
/// What a handler's `#[utoipa::path]` says is its method, its path and its summary; the
/// operation's id is the function's name, which must be unique.
macro_rules! handlers {
    ($($($segment:ident)::+ => $access:ident),+ $(,)?) => {
        #[derive(OpenApi)]
        #[openapi(paths($($($segment)::+),+))]
        struct Description;

        /// Every handler by its path in this module.
        const HANDLERS: &[(&str, Access, fn() -> Route)] =
            &[$((stringify!($($segment)::+), Access::$access, || web::to($($segment)::+))),+];
    };
}

handlers![
    index => Open,
    health::health => Open,
    health::livez => Open,
    health::readyz => Open,
    health::metrics => Metrics,
    openai::models::list_models => Use,
    openai::models::get_model => Use,
    openai::chat::chat_completions => Use,
    openai::completions::completions => Use,
    openai::embeddings::embeddings => Use,
    responses::create::create_response => Use,
    responses::stored::get_response => Use,
    responses::stored::delete_response => Use,
    responses::stored::cancel_response => Use,
    responses::stored::list_input_items => Use,
    openai::requests::cancel_request => Use,
    openai::tokenize::tokenize => Use,
    openai::tokenize::detokenize => Use,
    anthropic::messages::messages => Use,
    anthropic::count_tokens::count_tokens => Use,
    native::generate::generate => Use,
    native::generate::generate_stream => Use,
    native::model::encode => Use,
    native::model::model_info => Use,
    benchmarks::run_benchmark => Operate,
    benchmarks::create_benchmark => Operate,
    benchmarks::list_benchmarks => Observe,
    benchmarks::get_benchmark => Observe,
    benchmarks::cancel_benchmark => Operate,
    benchmarks::benchmark_events => Observe,
    admin::cluster::cluster => Observe,
    admin::cluster::schedulers => Observe,
    admin::explain::explain_route => Observe,
    admin::keys::create_key => Administer,
    admin::keys::list_keys => Observe,
    admin::keys::delete_key => Administer,
    admin::claims::create_claim => Operate,
    admin::claims::list_claims => Observe,
    admin::claims::release_claim => Operate,
    admin::claims::renew_claim => Operate,
];

/// One endpoint.
struct Endpoint {
    method: Method,
    path: String,
    summary: String,
    access: Access,
    handler: fn() -> Route,
}

/// Every endpoint, in the order of [`HANDLERS`].
static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let paths = Description::openapi().paths.paths;
    let described = |id: &str| {
        let mut all = paths.iter().flat_map(|(path, item)| operations(item).map(move |one| (path, one)));
        all.find(|(_, (_, operation))| operation.operation_id.as_deref() == Some(id))
    };
    let endpoint = |&(name, access, handler): &(&str, Access, fn() -> Route)| {
        let id = name.rsplit("::").next().unwrap_or(name).trim();
        let (path, (method, operation)) = described(id).expect("`handlers!` lists only described handlers");
        let summary = operation.summary.as_deref().unwrap_or_default().trim_end_matches('.').to_owned();
        Endpoint { method, path: path.clone(), summary, access, handler }
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
        let (methods, access) = (self.methods(), self.access);
        let authorized = move |state, request, next| authorize(access, state, request, next);
        (self.handler)()
            .guard(guard::fn_guard(move |request| methods.contains(&request.head().method)))
            .wrap(from_fn(authorized))
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
