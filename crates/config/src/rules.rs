//! Rules for values that a range or a list of words cannot express.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Problem;

/// What a DNS label holds, so that a name can be part of a host name.
const NAME_BYTES_MAX: usize = 63;

/// What a name may be, for messages.
pub(crate) const NAME_ALLOWED: &str =
    "this name is not allowed; allowed are up to 63 of a-z, 0-9, - and _, beginning with a letter or digit";

/// Whether a name can be a metric label, a part of a URL and of an environment
/// variable.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || matches!(byte, b'-' | b'_'))
}

/// Whether other machines can connect to a socket that listens on this address.
pub(crate) fn serves_other_machines(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// `unix:/PATH`, with an absolute path.
pub(crate) fn is_socket(text: &str) -> bool {
    text.strip_prefix("unix:").is_some_and(|path| Path::new(path).is_absolute())
}

/// `http://HOST:PORT` or `https://HOST:PORT`.
pub(crate) fn is_url(text: &str) -> bool {
    is_authority(text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")))
}

/// `http://HOST`, `https://HOST` or either with a port, as browsers write origins: in lower
/// case, and without a path.
pub(crate) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    host.is_some_and(|host| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    })
}

/// `http://HOST:PORT`, with or without a final `/`.
pub(crate) fn is_plaintext_url(text: &str) -> bool {
    is_authority(text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')))
}

fn is_authority(text: Option<&str>) -> bool {
    let port = text.and_then(|text| text.rsplit_once(':')).map(|(host, port)| (host, port.parse::<u16>()));
    matches!(port, Some((host, Ok(1..))) if !host.is_empty() && !host.contains(['/', '@', ' ']))
}

/// The problem of a certificate without its key, or of a key without its certificate.
pub(crate) fn unpaired(section: &str, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<Problem> {
    let (missing, other) = match (certificate, key) {
        (Some(_), None) => ("key", "certificate"),
        (None, Some(_)) => ("certificate", "key"),
        _ => return None,
    };
    Some(Problem::new(
        format!("{section}.{missing}"),
        format!("it is missing; {section}.{other} has no effect without it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["", "*", "null", "app.example", "https://", "https://app.example/", "https://App.example", "ftp://a"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn a_plaintext_url_has_a_host_and_a_port() {
        for good in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
            assert!(is_plaintext_url(good), "{good}");
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
            assert!(!is_plaintext_url(bad), "{bad}");
        }
    }
}
