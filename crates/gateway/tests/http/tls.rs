//! TLS: protocols, versions, client certificates, and a certificate that is replaced.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hostler_gateway::ServerConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::within;
use crate::harness::Harness;

/// An authority, and a folder with the certificate of a server that it signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("it is signed");
        let authority = Self { issuer, folder: TempDir::new().expect("a folder") };
        authority.write("ca.pem", &authority.issuer.pem());
        authority.certify("server", "localhost");
        authority
    }

    fn write(&self, name: &str, text: &str) {
        // Renamed into place, as tools that renew certificates do.
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).expect("it is writable");
        std::fs::rename(new, self.folder.path().join(name)).expect("it is in the same folder");
    }

    /// Writes a new certificate and its key.
    fn certify(&self, file: &str, name: &str) {
        let key = key();
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        self.write(&format!("{file}.key"), &key.serialize_pem());
        self.write(&format!("{file}.pem"), &certificate.pem());
    }

    fn configure(&self, config: &mut ServerConfig) {
        let path = |name: &str| Some(self.folder.path().join(name));
        config.tls.certificate = path("server.pem");
        config.tls.key = path("server.key");
    }

    /// A client that trusts this authority, and presents the certificate in `own` if there is one.
    fn client(
        &self,
        protocol: &str,
        versions: &[&'static rustls::SupportedProtocolVersion],
        own: Option<&str>,
    ) -> ClientConfig {
        let read = |path: &Path| CertificateDer::from_pem_file(path).expect("it is PEM");
        let path = |name: &str| self.folder.path().join(name);
        let mut roots = RootCertStore::empty();
        roots.add(read(&path("ca.pem"))).expect("it is an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("they are known").with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(path(&format!("{name}.key"))).expect("it is PEM");
                builder.with_client_auth_cert(vec![read(&path(&format!("{name}.pem")))], key).expect("they match")
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }
}

async fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// The response to `GET /livez` by HTTP/1.1.
async fn livez(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut response = Vec::new();
    // actix does not announce the end of a TLS stream; the response is whole.
    match within("a response", stream.read_to_end(&mut response)).await {
        Err(_) if response.is_empty() => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(String::from_utf8_lossy(&response).into_owned()),
    }
}

#[actix_web::test]
async fn http_1_and_2_are_served_by_tls_1_2_and_1_3() {
    let authority = Authority::new();
    let harness = Harness::start_with(|config| authority.configure(config)).await;
    for version in [&TLS12, &TLS13] {
        let client = authority.client("http/1.1", &[version], None);
        let mut stream = connect(harness.address, client, "localhost").await.expect("it is accepted");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let response = livez(&mut stream).await.expect("it responds");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");

        let client = authority.client("h2", &[version], None);
        let stream = connect(harness.address, client, "localhost").await.expect("it is accepted");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut requests, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
        let connection = actix_rt::spawn(connection);
        let request = http::Request::get("https://localhost/v1/models").body(()).expect("a request");
        let (response, _) = requests.send_request(request, true).expect("it is sent");
        let mut response = within("a response", response).await.expect("it responds");
        assert_eq!(response.status(), 200);
        let body = within("a body", response.body_mut().data()).await.expect("a body").expect("it is whole");
        assert!(String::from_utf8_lossy(&body).contains("demo"), "{body:?}");
        connection.abort();
    }
    let mut plain = TcpStream::connect(harness.address).await.expect("it listens");
    plain.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it is sent");
    let mut answer = Vec::new();
    let _ = within("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/"), "plain HTTP is not answered");
}

#[actix_web::test]
async fn a_replaced_certificate_is_used_for_new_connections() {
    let authority = Authority::new();
    let harness = Harness::start_with(|config| authority.configure(config)).await;
    let client = |version| authority.client("http/1.1", &[version], None);
    let mut before = connect(harness.address, client(&TLS13), "localhost").await.expect("it is accepted");
    // An unusable one first: the previous one stays in use.
    authority.write("server.pem", "nonsense");
    connect(harness.address, client(&TLS13), "localhost").await.expect("the previous certificate is used");
    authority.certify("server", "renewed.example");
    let renewed = async { while connect(harness.address, client(&TLS13), "renewed.example").await.is_err() {} };
    within("the new certificate", renewed).await;
    assert!(connect(harness.address, client(&TLS13), "localhost").await.is_err(), "it has another name");
    assert!(livez(&mut before).await.expect("it responds").starts_with("HTTP/1.1 200"), "the connection remains");
}

#[actix_web::test]
async fn with_an_authority_clients_need_a_certificate_of_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let harness = Harness::start_with(|config| {
        authority.configure(config);
        config.tls.client_authority = Some(authority.folder.path().join("ca.pem"));
    })
    .await;
    authority.certify("client", "client");
    other.certify("client", "client");
    let responds = async |own: Option<&str>, from: &Authority| {
        let mut config = authority.client("http/1.1", &[&TLS13], None);
        if let Some(own) = own {
            config.client_auth_cert_resolver = from.client("http/1.1", &[&TLS13], Some(own)).client_auth_cert_resolver;
        }
        // In TLS 1.3 the client learns of a refusal when it reads.
        let Ok(mut stream) = connect(harness.address, config, "localhost").await else { return false };
        livez(&mut stream).await.is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
    };
    assert!(responds(Some("client"), &authority).await);
    assert!(!responds(None, &authority).await);
    assert!(!responds(Some("client"), &other).await);
}
