//! The address on which a worker listens: a TCP port or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `127.0.0.1:7070`, or `unix:/run/hostler.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a port; port 0 chooses a free one.
    Tcp(SocketAddr),
    /// A socket in the file system. Only its owner can connect.
    Unix(PathBuf),
}

/// The text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address to listen on; allowed are IP:PORT and unix:/PATH")]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err(ListenError(text.to_owned())),
            None => text.parse().map(Self::Tcp).map_err(|_| ListenError(text.to_owned())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Binds a Unix socket. If the file exists and nothing accepts connections on it, a killed process
/// left it behind, and it is replaced.
pub(crate) fn bind_unix(path: &Path) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt;

    if path.exists()
        && matches!(std::os::unix::net::UnixStream::connect(path), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    let listener = tokio::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parsed_from_what_it_displays() {
        for text in ["127.0.0.1:7070", "[::1]:0", "unix:/run/hostler.sock"] {
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn an_invalid_address_is_refused_and_the_error_says_what_is_allowed() {
        for text in ["", "7070", "localhost:7070", "unix:", "unix:relative", "127.0.0.1"] {
            let error = text.parse::<Listen>().expect_err("it is invalid");
            assert!(error.to_string().contains("unix:/PATH"), "{error}");
        }
    }
}
