//! From the configuration to the ends of a connection between gateway and worker.

use std::path::{Path, PathBuf};

use anyhow::Context;
use hostler_cluster::membership::{Etcd, EtcdOptions, Role};
use hostler_cluster::tls::{ClientTls, KeyPair, ServerTls};
use hostler_cluster::{Listen, RemoteOptions, WorkerOptions};
use hostler_config::{ClusterConfig, EtcdConfig, WorkerConfig};
use tokio::runtime::{Builder, Runtime};

use crate::failure::Usage;

/// Threads that speak gRPC. Two carry tens of thousands of tokens a second.
const TRANSPORT_THREADS: usize = 2;

/// The threads of the transport: engines and HTTP have their own, so that none of them
/// can keep a worker's signs of life from being sent or heard.
pub(crate) struct Transport(Option<Runtime>);

impl Transport {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(TRANSPORT_THREADS)
            .thread_name("grpc")
            .enable_all()
            .build()
            .context("cannot start the transport's threads")?;
        Ok(Self(Some(runtime)))
    }

    /// Calls something that starts tasks, so that they run on the transport's threads.
    pub(crate) fn enter<T>(&self, start: impl FnOnce() -> T) -> T {
        let runtime = self.0.as_ref().expect("it is taken when it is dropped");
        let _entered = runtime.enter();
        start()
    }
}

/// Its tasks end with the process; waiting for them here would block other tasks.
impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How a gateway reaches its workers.
pub(crate) fn remote(settings: &ClusterConfig) -> anyhow::Result<RemoteOptions> {
    let tls = &settings.tls;
    let authority = tls.authority.as_deref().map(|path| pem("cluster.tls.authority", path)).transpose()?;
    let own = key_pair("cluster.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    Ok(RemoteOptions {
        connections: settings.connections,
        silence_max: settings.silence_max,
        tls: authority.map(|authority| ClientTls { authority, own, server_name: tls.server_name.clone() }),
        ..RemoteOptions::default()
    })
}

/// Etcd, where the configuration names one.
pub(crate) fn etcd(settings: &EtcdConfig, role: Role) -> anyhow::Result<Option<Etcd>> {
    if !settings.is_used() {
        return Ok(None);
    }
    let tls = &settings.tls;
    let authority = tls.authority.as_deref().map(|path| pem("cluster.etcd.tls.authority", path)).transpose()?;
    let own = key_pair("cluster.etcd.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    let options = EtcdOptions {
        config: settings.clone(),
        tls: authority.map(|authority| ClientTls { authority, own, server_name: None }),
    };
    Etcd::start(options, role).map(Some).context("cannot start the thread for etcd")
}

/// How a worker is reached.
pub(crate) fn worker(settings: &WorkerConfig) -> anyhow::Result<WorkerOptions> {
    let listen: Listen = settings.listen.parse().map_err(|error| Usage(format!("worker.listen: {error}")))?;
    let tls = &settings.tls;
    let own = key_pair("worker.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    let client_authority =
        tls.client_authority.as_deref().map(|path| pem("worker.tls.client_authority", path)).transpose()?;
    Ok(WorkerOptions {
        name: settings.name.clone().unwrap_or_else(|| default_name(&listen)).into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listen,
        tls: own.map(|own| ServerTls { own, client_authority }),
        metrics: None,
    })
}

fn key_pair(section: &str, certificate: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Option<KeyPair>> {
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let certificate = pem(&format!("{section}.certificate"), certificate)?;
    Ok(Some(KeyPair { certificate, key: pem(&format!("{section}.key"), key)? }))
}

/// A PEM file's text.
fn pem(key: &str, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Usage(format!("{key}: {}: {error}", path.display())))?;
    if !text.contains("-----BEGIN ") {
        return Err(Usage(format!("{key}: {} is no PEM file", path.display())).into());
    }
    Ok(text)
}

/// A name that no other worker has: the machine's, and what is unique on it.
fn default_name(listen: &Listen) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let place = match listen {
        Listen::Tcp(address) => address.port().to_string(),
        Listen::Unix(path) => path.file_stem().map(PathBuf::from).unwrap_or_default().display().to_string(),
    };
    named(&host, &place)
}

/// In the letters that a name may have.
fn named(host: &str, place: &str) -> String {
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    let letter = |letter: char| {
        let lower = letter.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() || lower == '_' { lower } else { '-' }
    };
    let name: String = format!("{host}-{place}").chars().map(letter).collect();
    name.trim_matches(['-', '_']).chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_name_is_one_that_the_configuration_allows() {
        for (host, place, name) in [("Box.lan\n", "7070", "box-lan-7070"), ("", "a b", "worker-a-b")] {
            assert_eq!(named(host, place), name);
        }
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named_with_its_key() {
        let error = pem("worker.tls.key", Path::new("/no/such/file")).expect_err("there is none");
        assert!(error.to_string().contains("worker.tls.key: /no/such/file"), "{error}");
        let error = pem("worker.tls.key", Path::new("/proc/self/comm")).expect_err("it is no certificate");
        assert!(error.to_string().contains("no PEM file"), "{error}");
    }
}
