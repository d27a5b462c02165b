//! Refuses what a web page makes a browser send, unless its origin is allowed. Without keys, a browser on this machine is
//! all that a page of another site needs to use the API: by a request across sites, or by a
//! name that it lets resolve to this machine (DNS rebinding).

use std::net::IpAddr;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use hostler_protocol::{ErrorCode, RequestError};

use super::cors;
use super::error::{ApiError, shortened};
use super::state::AppState;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What probes and Prometheus ask for, by whatever name they know this machine.
const OPEN_PATHS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Longest part of a header that an error quotes.
const QUOTED_BYTES_MAX: usize = 100;

/// The middleware.
pub(super) async fn trust(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origin = cors::allowed(request.headers(), &state.config.cors_origins).cloned();
    let checked = check(request.request(), &state, origin.is_some());
    let mut response = match checked {
        Ok(()) if origin.is_some() && cors::is_preflight(request.method(), request.headers()) => {
            request.into_response(cors::preflight())
        }
        Ok(()) => next.call(request).await?,
        Err(error) => request.error_response(ApiError::from(error)),
    };
    if let Some(origin) = origin {
        cors::permit(response.headers_mut(), origin);
    }
    Ok(response)
}

fn check(request: &HttpRequest, state: &AppState, is_allowed: bool) -> Result<(), RequestError> {
    let headers = request.headers();
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(headers, &HOST));
    if !is_allowed && !request.method().is_safe() {
        same_site(host, text(headers, &ORIGIN), text(headers, &SEC_FETCH_SITE))?;
    }
    if state.keys.table().is_open() && !OPEN_PATHS.contains(&request.path()) {
        known_host(host, &state.config.hosts)?;
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("an unreadable value"))
}

/// A request that changes something comes from no page of another site. Programs send none of
/// these headers; browsers send at least one of them.
fn same_site(host: Option<&str>, origin: Option<&str>, fetch_site: Option<&str>) -> Result<(), RequestError> {
    let foreign = match (fetch_site, origin) {
        (Some(site @ ("cross-site" | "same-site")), _) => Some(("sec-fetch-site", site)),
        (_, Some(origin)) if origin.split_once("://").map(|(_, host)| host) != host => Some(("origin", origin)),
        _ => None,
    };
    match foreign {
        None => Ok(()),
        Some((header, value)) => Err(refused(
            header,
            format!("{header}: {} is another site; requests of web pages are not accepted", quoted(value)),
        )),
    }
}

/// Without keys, only names that no other site can let resolve to this machine.
fn known_host(host: Option<&str>, hosts: &[String]) -> Result<(), RequestError> {
    // Every browser sends it.
    let Some(host) = host else { return Ok(()) };
    let name = without_port(host);
    let is_loopback = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    if is_loopback || is_address || hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(refused(
        "host",
        format!(
            "host {} is not accepted while no API keys are configured: use an IP address or localhost, \
             add the name to server.hosts, or configure server.api_keys",
            quoted(name)
        ),
    ))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn quoted(value: &str) -> String {
    format!("{:?}", shortened(value, QUOTED_BYTES_MAX))
}

fn refused(header: &'static str, message: String) -> RequestError {
    RequestError { param: Some(header.into()), ..RequestError::new(ErrorCode::Forbidden, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_other_sites_pages_are_refused() {
        let host = Some("127.0.0.1:8080");
        for (origin, site) in [
            (None, None),
            (None, Some("none")),
            (Some("http://127.0.0.1:8080"), Some("same-origin")),
            (Some("http://127.0.0.1:8080"), None),
        ] {
            assert!(same_site(host, origin, site).is_ok(), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("https://evil.example"), None),
            (Some("null"), None),
            (Some("http://127.0.0.1:3000"), None),
            (None, Some("cross-site")),
            (Some("http://127.0.0.1:8080"), Some("same-site")),
        ] {
            let error = same_site(host, origin, site).expect_err("it is another site");
            assert_eq!(error.code, ErrorCode::Forbidden, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn without_keys_a_host_is_an_address_or_a_known_name() {
        let hosts = ["gateway".to_owned()];
        for host in
            ["127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "LocalHost:1", "a.localhost", "gateway:8080", "Gateway"]
        {
            assert!(known_host(Some(host), &hosts).is_ok(), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "gateway.evil.example:80"] {
            let error = known_host(Some(host), &hosts).expect_err("it is not known");
            assert_eq!(error.param.as_deref(), Some("host"), "{host}");
        }
        assert!(known_host(None, &hosts).is_ok());
    }
}
