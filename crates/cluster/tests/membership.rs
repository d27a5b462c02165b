//! Membership and the ledger of claims, with a real etcd that requires client certificates.

mod support;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hostler_cluster::membership::{Announced, Etcd, EtcdLedger, EtcdOptions, Member, MemberState, Role};
use hostler_cluster::tls::{ClientTls, KeyPair};
use hostler_config::EtcdConfig;
use hostler_protocol::RequestId;
use hostler_router::{ClaimLedger, RecordedClaim};
use support::certificates::{Authority, authority, signed};
use support::eventually;
use tempfile::TempDir;

/// An etcd on a free port, which accepts clients with a certificate of the authority.
struct Server {
    process: Child,
    url: String,
    authority: Authority,
    _folder: TempDir,
}

impl Server {
    /// `None`, with a message, if etcd is not installed.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = authority();
        let own = signed(&authority, "localhost");
        let file = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("it is writable");
            path
        };
        let (trusted, certificate, key) =
            (file("ca.pem", &authority.pem()), file("own.pem", &own.certificate), file("own.key", &own.key));
        let [client, peer] = [free_port(), free_port()];
        let url = format!("https://localhost:{client}");
        let started = Command::new("etcd")
            .arg(format!("--data-dir={}", folder.path().join("data").display()))
            .arg(format!("--listen-client-urls=https://127.0.0.1:{client}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--cert-file={}", certificate.display()))
            .arg(format!("--key-file={}", key.display()))
            .arg(format!("--trusted-ca-file={}", trusted.display()))
            .arg("--client-cert-auth")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(process) => Some(Self { process, url, authority, _folder: folder }),
            Err(error) => {
                eprintln!("SKIPPED: etcd is not installed ({error}); scripts/setup.sh test installs it");
                None
            }
        }
    }

    fn join(&self, role: Role, own: Option<KeyPair>) -> Etcd {
        let tls = ClientTls { authority: self.authority.pem(), own, server_name: None };
        let config = EtcdConfig {
            endpoints: vec![self.url.clone()],
            prefix: "/test".to_owned(),
            lease: Duration::from_secs(3),
            ..EtcdConfig::default()
        };
        Etcd::start(EtcdOptions { config, tls: Some(tls) }, role).expect("the thread is created")
    }

    async fn connected(&self, role: Role) -> Etcd {
        let etcd = self.join(role, Some(signed(&self.authority, "localhost")));
        let health = etcd.health();
        eventually("it is connected", || health.borrow().failure.is_none()).await;
        etcd
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn gateways_see_a_worker_join_leave_and_disappear() {
    let Some(server) = Server::start() else { return };
    let (worker, gateway) = (server.connected(Role::Worker).await, server.connected(Role::Gateway).await);
    let roster = gateway.roster();
    let state = || roster.borrow().get("w").map(|member| member.state);
    let mut member = Member { instance: "one".to_owned(), ..Member::at("http://10.0.0.1:7070") };
    worker.announce("w", &member).await.expect("etcd is available");
    eventually("the worker is listed", || state() == Some(MemberState::Serving)).await;
    member.state = MemberState::Leaving;
    worker.announce("w", &member).await.expect("etcd is available");
    eventually("the worker is leaving", || state() == Some(MemberState::Leaving)).await;
    worker.leave().await;
    eventually("the worker is not listed", || state().is_none()).await;
    assert!(worker.announce("w", &member).await.is_err(), "it has left");
    gateway.leave().await;
}

#[tokio::test]
async fn a_name_belongs_to_one_process_until_its_record_has_gone() {
    let Some(server) = Server::start() else { return };
    let [first, second] = [server.connected(Role::Worker).await, server.connected(Role::Worker).await];
    let member = |instance: &str, endpoint: &str| Member { instance: instance.to_owned(), ..Member::at(endpoint) };
    let (mut one, other) = (member("one", "http://10.0.0.1:7070"), member("other", "http://10.0.0.2:7070"));
    let holder = |announced: Result<Announced, _>| match announced.expect("etcd is available") {
        Announced::HeldBy(holder) => Some(holder.instance),
        Announced::Written => None,
    };
    assert_eq!(holder(first.announce("w", &one).await), None);
    assert_eq!(holder(second.announce("w", &other).await), Some("one".to_owned()));
    // A process at the same endpoint is the next one of this node: the first must have ended.
    let again = server.connected(Role::Worker).await;
    let next = member("next", "http://10.0.0.1:7070");
    assert_eq!(holder(again.announce("w", &next).await), None);
    one.state = MemberState::Leaving;
    assert_eq!(holder(first.announce("w", &one).await), Some("next".to_owned()), "it does not overwrite its successor");
    again.leave().await;
    drop(first);
    let gateway = server.connected(Role::Gateway).await;
    let roster = gateway.roster();
    eventually("the waiting process gets the name", || {
        roster.borrow().get("w").is_some_and(|member| member.instance == "other")
    })
    .await;
}

#[tokio::test]
async fn exactly_one_of_two_concurrent_claims_sees_the_other() {
    let Some(server) = Server::start() else { return };
    let gateways = [server.connected(Role::Gateway).await, server.connected(Role::Gateway).await];
    let [a, b] = gateways.map(|gateway| EtcdLedger::new(Arc::new(gateway)));
    let claim = |scheduler: &str, model: &str| RecordedClaim {
        id: RequestId::new(),
        scheduler: scheduler.into(),
        model: model.into(),
        owner: "a test".to_owned(),
        ttl: Duration::from_secs(30),
    };
    for _ in 0..20 {
        let (first, second) = (claim("w1.m", "m"), claim("w2.m", "m"));
        let (seen_by_first, seen_by_second) = tokio::join!(a.record(&first), b.record(&second));
        let seen = [seen_by_first.expect("etcd is available"), seen_by_second.expect("etcd is available")];
        assert!(seen == [vec![second.clone()], vec![]] || seen == [vec![], vec![first.clone()]], "{seen:?}");
        a.forget(first.id).await.expect("etcd is available");
        b.forget(second.id).await.expect("etcd is available");
    }
}

#[tokio::test]
async fn a_gateway_without_a_certificate_is_refused_and_told_why_it_cannot_claim() {
    let Some(server) = Server::start() else { return };
    drop(server.connected(Role::Gateway).await);
    let without_certificate = server.join(Role::Gateway, None);
    let ledger = EtcdLedger::new(Arc::new(without_certificate));
    let claim = RecordedClaim {
        id: RequestId::new(),
        scheduler: "w.m".into(),
        model: "m".into(),
        owner: "a test".to_owned(),
        ttl: Duration::from_secs(30),
    };
    let refused = ledger.record(&claim).await.expect_err("etcd refuses it");
    assert!(refused.message.contains("none is granted") && refused.message.contains("etcd"), "{refused:?}");
}
