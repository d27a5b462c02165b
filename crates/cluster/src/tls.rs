//! TLS between gateways and workers, and who is let in.
//!
//! Everything is PEM text. Reading files is the configuration's business.

use std::fmt;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// A certificate with its chain, and its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, and those between it and the authority.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The key is not shown.
impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl KeyPair {
    fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// A worker's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// By what it proves who it is.
    pub own: KeyPair,
    /// The authority whose certificates clients must show; `None`: anybody is let in.
    pub client_authority: Option<String>,
}

/// Names the cryptography of this process. Several of its libraries bring one, and
/// rustls chooses only where there is no choice.
fn choose_cryptography() {
    // An error means that it was chosen before, and that stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl ServerTls {
    pub(crate) fn config(&self) -> ServerTlsConfig {
        choose_cryptography();
        let config = ServerTlsConfig::new().identity(self.own.identity());
        match &self.client_authority {
            Some(authority) => config.client_ca_root(Certificate::from_pem(authority)),
            None => config,
        }
    }
}

/// A gateway's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The authority whose certificate a worker must show.
    pub authority: String,
    /// By what the gateway proves who it is, where workers ask for it.
    pub own: Option<KeyPair>,
    /// The name that a worker's certificate must have; `None`: that of its URL.
    pub server_name: Option<String>,
}

impl ClientTls {
    pub(crate) fn config(&self) -> ClientTlsConfig {
        choose_cryptography();
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority));
        if let Some(own) = &self.own {
            config = config.identity(own.identity());
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        config
    }
}
