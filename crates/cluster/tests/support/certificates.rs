//! Certificates for tests: an authority, and what it signs.

use hostler_cluster::tls::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair as Key};

pub(crate) type Authority = CertifiedIssuer<'static, Key>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, Key::generate().expect("a key")).expect("it signs")
}

pub(crate) fn signed(by: &Authority, name: &str) -> KeyPair {
    let key = Key::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a valid name");
    let certificate = params.signed_by(&key, by).expect("it signs");
    KeyPair { certificate: certificate.pem(), key: key.serialize_pem() }
}
