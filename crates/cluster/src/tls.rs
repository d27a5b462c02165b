//! TLS between gateways and workers, with client certificates where configured.
//!
//! Certificates and keys are PEM text; the caller reads the files.

use std::fmt;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// A certificate with its chain, and the private key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, followed by its intermediate certificates.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Leaves out the private key.
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

/// TLS at a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The worker's own certificate.
    pub own: KeyPair,
    /// The authority that must have signed the clients' certificates; `None`: clients need none.
    pub client_authority: Option<String>,
}

/// Installs the cryptography of this process. rustls chooses by itself only where one provider is
/// linked, and dependencies link several.
fn install_crypto_provider() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl ServerTls {
    pub(crate) fn config(&self) -> ServerTlsConfig {
        install_crypto_provider();
        let config = ServerTlsConfig::new().identity(self.own.identity());
        match &self.client_authority {
            Some(authority) => config.client_ca_root(Certificate::from_pem(authority)),
            None => config,
        }
    }
}

/// TLS at a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The authority that must have signed the worker's certificate.
    pub authority: String,
    /// The gateway's own certificate, for workers that require one.
    pub own: Option<KeyPair>,
    /// The name that the worker's certificate must have; `None`: the host name of its URL.
    pub server_name: Option<String>,
}

impl ClientTls {
    pub(crate) fn config(&self) -> ClientTlsConfig {
        install_crypto_provider();
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
