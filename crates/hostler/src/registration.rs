//! A worker's record in etcd, from its loading to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hostler_cluster::Listen;
use hostler_cluster::membership::{Etcd, Member, MemberScheduler, MemberState};
use hostler_config::WorkerConfig;
use hostler_protocol::NodeId;
use hostler_scheduler::Scheduler;

/// Longest time for which leaving waits for etcd.
const LEAVING_MAX: Duration = Duration::from_secs(1);

/// See the module's first line.
pub(crate) struct Registration {
    etcd: Etcd,
    name: NodeId,
    member: Member,
}

impl Registration {
    /// Says that the worker is there and has loaded its models.
    pub(crate) async fn join(etcd: Etcd, name: NodeId, endpoint: String, schedulers: &[Arc<dyn Scheduler>]) -> Self {
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
        let registration = Self { etcd, name, member };
        registration.announce().await;
        registration
    }

    /// Says that nothing new shall come. An etcd that is slow to hear it does not hold up
    /// the end: schedulers that drain say so as well.
    pub(crate) async fn leave(&mut self) {
        self.member.state = MemberState::Leaving;
        if tokio::time::timeout(LEAVING_MAX, self.announce()).await.is_err() {
            tracing::warn!("etcd is slow to hear that this worker leaves");
        }
    }

    /// Takes the record away.
    pub(crate) async fn end(self) {
        self.etcd.leave().await;
    }

    async fn announce(&self) {
        if let Err(error) = self.etcd.announce(self.name.as_str(), &self.member).await {
            tracing::warn!(%error, "gateways that do not know this worker yet hear of it when etcd is back");
        }
    }
}

/// Where gateways reach a worker that listens there.
pub(crate) fn endpoint(settings: &WorkerConfig, scheme: &str, listen: &Listen) -> String {
    match (&settings.advertise, listen) {
        (Some(advertise), _) => advertise.clone(),
        (None, Listen::Tcp(address)) => format!("{scheme}://{address}"),
        (None, Listen::Unix(_)) => listen.to_string(),
    }
}

/// Whether only gateways on this machine reach what listens there.
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
    fn gateways_are_told_what_the_configuration_says_or_where_it_listens() {
        let listen = "127.0.0.1:7070".parse().expect("it is a place");
        let mut settings = WorkerConfig::default();
        assert_eq!(endpoint(&settings, "https", &listen), "https://127.0.0.1:7070");
        assert_eq!(endpoint(&settings, "http", &"unix:/run/w".parse().expect("it is a place")), "unix:/run/w");
        settings.advertise = Some("http://worker-1:7070".to_owned());
        assert_eq!(endpoint(&settings, "http", &listen), "http://worker-1:7070");
    }
}
