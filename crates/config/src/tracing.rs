//! The values of `[tracing]` that have a form.

use serde::{Deserialize, Serialize};

/// A collector's address: `http://HOST:PORT`, without encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OtlpEndpoint(String);

impl OtlpEndpoint {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OtlpEndpoint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let authority = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let parts = authority.and_then(|authority| authority.rsplit_once(':'));
        let whole = |(host, port): &(&str, &str)| {
            !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if parts.as_ref().is_some_and(whole) { Ok(Self(text)) } else { Err("it is not http://HOST:PORT") }
    }
}

impl From<OtlpEndpoint> for String {
    fn from(endpoint: OtlpEndpoint) -> Self {
        endpoint.0
    }
}

/// A share, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct SampleRatio(f64);

impl SampleRatio {
    /// The share.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// One request in ten: enough to see what is slow, and not noticed by throughput.
impl Default for SampleRatio {
    fn default() -> Self {
        Self(0.1)
    }
}

impl TryFrom<f64> for SampleRatio {
    type Error = &'static str;

    fn try_from(ratio: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&ratio) { Ok(Self(ratio)) } else { Err("it is not from 0 to 1") }
    }
}

impl From<SampleRatio> for f64 {
    fn from(ratio: SampleRatio) -> Self {
        ratio.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_host_and_a_port() {
        for good in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
            assert!(OtlpEndpoint::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "collector:4317",
            "https://collector:4317",
            "http://collector",
            "http://:4317",
            "http://c:0",
            "http://a/b:1",
        ] {
            assert!(OtlpEndpoint::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ratio_is_a_share() {
        assert_eq!(SampleRatio::try_from(0.25).map(SampleRatio::get), Ok(0.25));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(SampleRatio::try_from(bad).is_err(), "{bad}");
        }
    }
}
