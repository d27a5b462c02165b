//! The layers of a server that a benchmark can measure.

use serde::{Deserialize, Serialize};

/// A layer, from the engine upwards.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::EnumMessage,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Layer {
    /// The executor alone.
    Engine,
    /// Through the actor of a scheduler in this process.
    Scheduler,
    /// Through the connection to a scheduler in another process, or through one that is made
    /// to a scheduler in this process.
    Grpc,
    /// Through the router.
    Router,
    /// Over HTTP, the answer in one piece.
    Http,
    /// Over HTTP, token by token.
    HttpStream,
}

impl Layer {
    /// The name in orders and results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the layer is HTTP.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpStream)
    }

    /// Whether a client's request passes the layer on its way to a scheduler in another
    /// process (`is_remote`), or in this one.
    pub(super) const fn is_on_path(self, is_remote: bool) -> bool {
        match self {
            Self::Engine | Self::Scheduler => !is_remote,
            Self::Grpc => is_remote,
            Self::Router | Self::Http | Self::HttpStream => true,
        }
    }
}
