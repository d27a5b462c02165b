//! Connections between gateways, workers and etcd, from the configuration.

use std::path::{Path, PathBuf};

use anyhow::Context;
use hostler_cluster::membership::{Etcd, EtcdOptions, Role};
use hostler_cluster::tls::{ClientTls, KeyPair, ServerTls};
use hostler_cluster::{Listen, RemoteOptions, WorkerOptions};
use hostler_config::{ClusterConfig, EtcdConfig, WorkerConfig};
use tokio::runtime::{Builder, Runtime};

use crate::failure::Usage;

/// Threads for gRPC. Two carry tens of thousands of tokens a second.
const TRANSPORT_THREADS: usize = 2;

/// The threads of the transport. Engines and HTTP have threads of their own, so that none of
/// them can delay a worker's heartbeats.
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

    /// Calls a function that spawns tasks, so that they run on the transport's threads.
    pub(crate) fn enter<T>(&self, start: impl FnOnce() -> T) -> T {
        let runtime = self.0.as_ref().expect("only drop takes the runtime");
        let _entered = runtime.enter();
        start()
    }
}

/// Its tasks end with the process; a wait for them would block other tasks.
impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How a gateway connects to its workers.
pub(crate) fn remote(config: &ClusterConfig) -> anyhow::Result<RemoteOptions> {
    let tls = &config.tls;
    let authority = tls.authority.as_deref().map(|path| pem("cluster.tls.authority", path)).transpose()?;
    let own = key_pair("cluster.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    Ok(RemoteOptions {
        connections: config.connections,
        silence_max: config.silence_max,
        tls: authority.map(|authority| ClientTls { authority, own, server_name: tls.server_name.clone() }),
        ..RemoteOptions::default()
    })
}

/// The connection to etcd; `None`: the configuration names none.
pub(crate) fn etcd(config: &EtcdConfig, role: Role) -> anyhow::Result<Option<Etcd>> {
    if !config.is_used() {
        return Ok(None);
    }
    let tls = &config.tls;
    let authority = tls.authority.as_deref().map(|path| pem("cluster.etcd.tls.authority", path)).transpose()?;
    let own = key_pair("cluster.etcd.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    let options = EtcdOptions {
        config: config.clone(),
        tls: authority.map(|authority| ClientTls { authority, own, server_name: None }),
    };
    Etcd::start(options, role).map(Some).context("cannot start the thread for etcd")
}

/// How a worker serves gateways.
pub(crate) fn worker(config: &WorkerConfig) -> anyhow::Result<WorkerOptions> {
    let listen: Listen = config.listen.parse().map_err(|error| Usage(format!("worker.listen: {error}")))?;
    let tls = &config.tls;
    let own = key_pair("worker.tls", tls.certificate.as_deref(), tls.key.as_deref())?;
    let client_authority =
        tls.client_authority.as_deref().map(|path| pem("worker.tls.client_authority", path)).transpose()?;
    Ok(WorkerOptions {
        name: config.name.clone().unwrap_or_else(|| default_name(&listen)).into(),
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

/// The text of a PEM file.
fn pem(key: &str, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Usage(format!("{key}: {}: {error}", path.display())))?;
    if !text.contains("-----BEGIN ") {
        return Err(Usage(format!("{key}: {} is not a PEM file", path.display())).into());
    }
    Ok(text)
}

/// Characters that a name may have at most.
const NAME_MAX: usize = 63;

/// Digits of the boot's identifier in a name.
const BOOT_DIGITS: usize = 8;

/// A name that no other worker of the cluster has: the host name and the address. Cloned machines
/// have the same host name, so an address that is not unique in the network is replaced by the
/// identifier of this machine's boot. A restarted process has the same name.
fn default_name(listen: &Listen) -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let boot: String = read("/proc/sys/kernel/random/boot_id").chars().take(BOOT_DIGITS).collect();
    let place = match listen {
        Listen::Tcp(address) if address.ip().is_loopback() || address.ip().is_unspecified() => {
            format!("{boot}-{}", address.port())
        }
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => {
            format!("{boot}-{}", path.file_stem().map(PathBuf::from).unwrap_or_default().display())
        }
    };
    named(&read("/proc/sys/kernel/hostname"), &place)
}

/// A name in the characters that names may have. Of a long one, the host is cut.
fn named(host: &str, place: &str) -> String {
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    let letter = |letter: char| {
        let lower = letter.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() || lower == '_' { lower } else { '-' }
    };
    let host: String = host.chars().take(NAME_MAX.saturating_sub(place.chars().count() + 1)).collect();
    let name: String = format!("{host}-{place}").chars().map(letter).take(NAME_MAX).collect();
    name.trim_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_name_is_allowed_by_the_configuration() {
        for (host, place, name) in [("Box.lan\n", "[::1]:70", "box-lan---1--70"), ("", "a b", "worker-a-b")] {
            assert_eq!(named(host, place), name);
        }
        let long = named(&"h".repeat(80), "10.0.0.7:7070");
        assert!(long.len() == NAME_MAX && long.ends_with("-10-0-0-7-7070"), "{long}");
    }

    #[test]
    fn a_default_name_differs_between_cloned_machines_and_not_between_starts() {
        let name = |listen: &str| default_name(&listen.parse().expect("it is an address"));
        assert_ne!(name("10.0.0.7:7070"), name("10.0.0.8:7070"));
        assert!(name("10.0.0.7:7070").ends_with("-10-0-0-7-7070"));
        for local in ["0.0.0.0:7070", "127.0.0.1:7070", "unix:/run/w.sock"] {
            assert_eq!(name(local), name(local));
            let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux has it");
            assert!(name(local).contains(&boot[..BOOT_DIGITS]), "{}", name(local));
        }
    }

    #[test]
    fn an_invalid_certificate_file_is_named_with_its_key() {
        let error = pem("worker.tls.key", Path::new("/no/such/file")).expect_err("the file does not exist");
        assert!(error.to_string().contains("worker.tls.key: /no/such/file"), "{error}");
        let error = pem("worker.tls.key", Path::new("/proc/self/comm")).expect_err("it is not a certificate");
        assert!(error.to_string().contains("not a PEM file"), "{error}");
    }
}
