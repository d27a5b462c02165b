//! The address of a server and its request settings.

use hostler_protocol::FencingToken;
use hyper::Uri;
use serde_json::{Map, Value};

use super::HttpError;

/// The address of a server and its request settings.
#[derive(Clone)]
pub struct HttpSettings {
    /// `http://host:port`, optionally with a path, with or without `/v1` at the end.
    pub base_url: String,
    /// Sent as a bearer token. Results do not contain it.
    pub api_key: Option<String>,
    /// The model; `None`: the first that the server lists.
    pub model: Option<String>,
    /// The API endpoint.
    pub endpoint: Endpoint,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Additional fields of the request body; they replace default ones.
    pub extra_body: Map<String, Value>,
    /// The claim of the requests (`x-hostler-claim`), for a Hostler only.
    pub claim: Option<FencingToken>,
}

/// An OpenAI API endpoint.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter, strum::EnumMessage, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Endpoint {
    /// `/v1/chat/completions`: the prompt is a user message.
    Chat,
    /// `/v1/completions`: the prompt is text to continue.
    Completions,
}

impl Endpoint {
    /// The path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
        }
    }
}

/// Omits the API key.
impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSettings")
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("endpoint", &self.endpoint)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl HttpSettings {
    /// The URL of a path, which begins with `/v1`.
    pub(super) fn url(&self, path: &str) -> Result<Uri, HttpError> {
        let wrong = |reason: &str| HttpError::Url { url: self.base_url.clone(), reason: reason.to_owned() };
        let base = self.base_url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let url: Uri = format!("{base}{path}").parse().map_err(|_| wrong("it is not a URL"))?;
        match url.scheme_str() {
            Some("http") => Ok(url),
            Some("https") => Err(wrong("TLS would be part of the measurement and is not supported")),
            _ => Err(wrong("it does not begin with http://")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str) -> Result<String, String> {
        let settings = HttpSettings {
            base_url: base.to_owned(),
            api_key: Some("secret".to_owned()),
            model: None,
            endpoint: Endpoint::Chat,
            stream: true,
            extra_body: Map::new(),
            claim: None,
        };
        assert!(!format!("{settings:?}").contains("secret"));
        settings.url("/v1/models").map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_base_may_end_in_v1_and_have_a_path() {
        for base in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(url(base).as_deref(), Ok("http://h:1/v1/models"));
        }
        assert_eq!(url("http://h/llm/v1").as_deref(), Ok("http://h/llm/v1/models"));
    }

    #[test]
    fn invalid_urls_are_refused_by_name() {
        for base in ["https://h", "h:8080", "ftp://h", "http://", ""] {
            let error = url(base).expect_err(base);
            assert!(error.contains(&format!("{base:?}")), "{error}");
        }
    }
}
