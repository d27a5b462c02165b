//! TLS for clients: the server's certificate, which is read again when its files change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hostler_config::ServerTlsConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::watch::{Version, version};

/// A certificate with its key. New connections get the one that was last read.
#[derive(Debug)]
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    client_authority: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// Of the two files, when they were last read.
    versions: Mutex<[Option<Version>; 2]>,
}

impl Certificate {
    /// Reads the files; `None` if TLS is not configured.
    ///
    /// # Errors
    /// A file cannot be read, or the key is of another certificate.
    pub(super) fn open(config: &ServerTlsConfig) -> io::Result<Option<Arc<Self>>> {
        let (Some(certificate), Some(key)) = (config.certificate.clone(), config.key.clone()) else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let versions = Mutex::new([version(&certificate), version(&key)]);
        let current = RwLock::new(Arc::new(read(&certificate, &key, &provider).map_err(io::Error::other)?));
        let client_authority = config.client_authority.clone();
        Ok(Some(Arc::new(Self { certificate, key, client_authority, provider, current, versions })))
    }

    /// The configuration of a listener, without the protocols, which actix adds.
    ///
    /// # Errors
    /// The authority of client certificates cannot be read.
    pub(super) fn server_config(self: &Arc<Self>) -> io::Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(io::Error::other)?;
        let builder = match &self.client_authority {
            Some(authority) => builder.with_client_cert_verifier(self.verifier(authority).map_err(io::Error::other)?),
            None => builder.with_no_client_auth(),
        };
        Ok(builder.with_cert_resolver(Arc::clone(self) as _))
    }

    /// Requires a certificate that the authority has signed.
    fn verifier(&self, authority: &Path) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let mut roots = RootCertStore::empty();
        for certificate in chain(authority)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", authority.display()))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| format!("{}: {error}", authority.display()))
    }

    /// Reads the files if they have changed since they were last read. Blocks.
    pub(crate) fn refresh(&self) {
        let now = [version(&self.certificate), version(&self.key)];
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if *versions == now {
            return;
        }
        // The next attempt is made when a file has changed again, as the second of the two will.
        *versions = now;
        let path = self.certificate.display();
        match read(&self.certificate, &self.key, &self.provider) {
            Ok(certified) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                tracing::info!(%path, "read the certificate");
            }
            Err(error) => {
                tracing::warn!(error, %path, "the certificate is not usable; the previous one stays in use");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The certificate and its key, which belong together.
fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = chain(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    CertifiedKey::from_der(chain, private, provider)
        .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))
}

/// The certificates in a PEM file, at least one.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(format!("{} contains no certificate", path.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
