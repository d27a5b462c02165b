//! A worker's record in etcd, from the moment its models are loaded until it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_cluster::Listen;
use hostler_cluster::membership::{Announced, Etcd, Member, MemberScheduler, MemberState};
use hostler_config::WorkerConfig;
use hostler_protocol::NodeId;
use hostler_scheduler::Scheduler;

use crate::failure::Usage;

/// Maximum time that a leaving worker waits for etcd.
const LEAVING_MAX: Duration = Duration::from_secs(1);

/// How often a worker whose name is taken looks again within the holder's lease.
const LOOKS_PER_LEASE: u32 = 10;

/// A worker that is registered in etcd.
pub(crate) struct Registration {
    etcd: Etcd,
    name: NodeId,
    member: Member,
}

impl Registration {
    /// Registers a worker that has loaded its models. If another process has the name, waits for
    /// as long as the record of a process that was killed remains.
    ///
    /// # Errors
    /// The name still belongs to another process.
    pub(crate) async fn join(
        etcd: Etcd,
        name: NodeId,
        endpoint: String,
        schedulers: &[Arc<dyn Scheduler>],
    ) -> anyhow::Result<Self> {
        let schedulers = schedulers.iter().map(|scheduler| MemberScheduler {
            name: scheduler.id().to_string(),
            model: scheduler.snapshot().borrow().model.to_string(),
        });
        let member = Member {
            endpoint,
            instance: format!("{:016x}", rand::random::<u64>()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: MemberState::Serving,
            schedulers: schedulers.collect(),
        };
        let registration = Self { etcd, name: name.clone(), member };
        let until = Instant::now() + registration.etcd.lease();
        while let Some(Announced::HeldBy(holder)) = registration.announce().await {
            if Instant::now() > until {
                let Self { etcd, name, .. } = registration;
                etcd.leave().await;
                return Err(Usage(format!(
                    "worker.name: another worker at {} has the name {name} (instance {}); names are unique in a cluster",
                    holder.endpoint, holder.instance
                ))
                .into());
            }
            tracing::warn!(%name, holder = holder.endpoint, "another worker has this name; waiting for its lease to end");
            tokio::time::sleep(registration.etcd.lease() / LOOKS_PER_LEASE).await;
        }
        Ok(registration)
    }

    /// Marks the worker as leaving, so that gateways send it no new requests. A slow etcd does
    /// not delay the shutdown: draining schedulers report their state to gateways too.
    pub(crate) async fn leave(&mut self) {
        self.member.state = MemberState::Leaving;
        if tokio::time::timeout(LEAVING_MAX, self.announce()).await.is_err() {
            tracing::warn!("etcd did not record in time that this worker is leaving");
        }
    }

    /// Deletes the record.
    pub(crate) async fn end(self) {
        self.etcd.leave().await;
    }

    /// The outcome; `None` if etcd cannot be reached.
    async fn announce(&self) -> Option<Announced> {
        let announced = self.etcd.announce(self.name.as_str(), &self.member).await;
        announced
            .inspect_err(|error| {
                tracing::warn!(%error, "cannot register in etcd; gateways find this worker when etcd is reachable again");
            })
            .ok()
    }
}

/// The URL by which gateways reach a worker that listens on `listen`.
pub(crate) fn endpoint(config: &WorkerConfig, scheme: &str, listen: &Listen) -> String {
    match (&config.advertise, listen) {
        (Some(advertise), _) => advertise.clone(),
        (None, Listen::Tcp(address)) => format!("{scheme}://{address}"),
        (None, Listen::Unix(_)) => listen.to_string(),
    }
}

/// Whether only gateways on this machine can connect to `listen`.
pub(crate) fn is_local(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(address) => SocketAddr::ip(address).is_loopback(),
        Listen::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_advertised_one_or_where_the_worker_listens() {
        let listen = "127.0.0.1:7070".parse().expect("it is an address");
        let mut config = WorkerConfig::default();
        assert_eq!(endpoint(&config, "https", &listen), "https://127.0.0.1:7070");
        assert_eq!(endpoint(&config, "http", &"unix:/run/w".parse().expect("it is an address")), "unix:/run/w");
        config.advertise = Some("http://worker-1:7070".to_owned());
        assert_eq!(endpoint(&config, "http", &listen), "http://worker-1:7070");
    }
}
