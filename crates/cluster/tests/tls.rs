//! Who is let in, and whom a gateway believes.

mod support;

use std::sync::Arc;

use hostler_cluster::tls::{ClientTls, KeyPair, ServerTls};
use hostler_cluster::{Listen, RemoteNode, RemoteOptions, WorkerOptions, WorkerServer};
use hostler_scheduler::{Scheduler, SchedulerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair as Key};
use support::{eventually, first_scheduler, local, quick, read, request, serves, worker_options};

type Authority = CertifiedIssuer<'static, Key>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, Key::generate().expect("a key")).expect("it signs")
}

fn signed(by: &Authority, name: &str) -> KeyPair {
    let key = Key::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a valid name");
    let certificate = params.signed_by(&key, by).expect("it signs");
    KeyPair { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn connect(server: &WorkerServer, tls: ClientTls) -> RemoteNode {
    let Listen::Tcp(address) = server.listen() else { panic!("it listens on a port") };
    let options = RemoteOptions { tls: Some(tls), ..RemoteOptions::default() };
    RemoteNode::connect(&format!("https://localhost:{}", address.port()), &options).expect("it is an endpoint")
}

async fn is_refused(node: &RemoteNode) {
    let health = node.health();
    eventually("it is refused", || {
        health.borrow().failure.as_ref().is_some_and(|why| !why.contains("has not been reached yet"))
    })
    .await;
    assert!(health.borrow().name.is_none(), "it was let in");
    assert!(node.schedulers().borrow().is_empty());
}

#[actix::test]
async fn only_who_shows_the_right_certificates_gets_in() {
    let (ours, theirs) = (authority(), authority());
    let local = local(SchedulerConfig::new("sim", "simulated"), quick());
    let tls = ServerTls { own: signed(&ours, "localhost"), client_authority: Some(ours.pem()) };
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let options = WorkerOptions { tls: Some(tls), ..worker_options(listen) };
    let schedulers = vec![Arc::clone(&local) as Arc<dyn Scheduler>];
    let server = WorkerServer::start(options, schedulers).expect("it can listen there");
    let right = ClientTls { authority: ours.pem(), own: Some(signed(&ours, "gateway")), server_name: None };

    let node = connect(&server, right.clone());
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it serves")).await, (5, Ok(())));

    is_refused(&connect(&server, ClientTls { own: None, ..right.clone() })).await;
    is_refused(&connect(&server, ClientTls { own: Some(signed(&theirs, "gateway")), ..right.clone() })).await;
    is_refused(&connect(&server, ClientTls { authority: theirs.pem(), ..right.clone() })).await;
    is_refused(&connect(&server, ClientTls { server_name: Some("elsewhere".to_owned()), ..right })).await;

    let Listen::Tcp(address) = server.listen() else { panic!("it listens on a port") };
    let plain = RemoteNode::connect(&format!("http://{address}"), &RemoteOptions::default()).expect("an endpoint");
    is_refused(&plain).await;
    local.stop().await;
}

#[actix::test]
async fn a_worker_without_a_client_authority_lets_in_who_believes_it() {
    let ours = authority();
    let local = local(SchedulerConfig::new("sim", "simulated"), quick());
    let tls = ServerTls { own: signed(&ours, "worker.internal"), client_authority: None };
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let options = WorkerOptions { tls: Some(tls), ..worker_options(listen) };
    let schedulers = vec![Arc::clone(&local) as Arc<dyn Scheduler>];
    let server = WorkerServer::start(options, schedulers).expect("it can listen there");
    let named = ClientTls { authority: ours.pem(), own: None, server_name: Some("worker.internal".to_owned()) };
    let node = connect(&server, named);
    serves(&*first_scheduler(&node).await).await;
    local.stop().await;
}
