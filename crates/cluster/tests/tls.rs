//! TLS: which clients a worker accepts, and which workers a gateway accepts.

mod support;

use std::sync::Arc;

use hostler_cluster::tls::{ClientTls, ServerTls};
use hostler_cluster::{Listen, RemoteNode, RemoteOptions, WorkerOptions, WorkerServer};
use hostler_scheduler::{Scheduler, SchedulerConfig};
use support::certificates::{authority, signed};
use support::{eventually, first_scheduler, local, quick, read, request, serves, worker_options};

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
    assert!(health.borrow().name.is_none(), "it was accepted");
    assert!(node.schedulers().borrow().is_empty());
}

#[actix::test]
async fn only_clients_with_the_right_certificates_are_accepted() {
    let (ours, theirs) = (authority(), authority());
    let local = local(SchedulerConfig::new("sim", "simulated"), quick());
    let tls = ServerTls { own: signed(&ours, "localhost"), client_authority: Some(ours.pem()) };
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let options = WorkerOptions { tls: Some(tls), ..worker_options(listen) };
    let schedulers = vec![Arc::clone(&local) as Arc<dyn Scheduler>];
    let server = WorkerServer::start(options, schedulers).expect("it can listen there");
    let accepted = ClientTls { authority: ours.pem(), own: Some(signed(&ours, "gateway")), server_name: None };

    let node = connect(&server, accepted.clone());
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it serves")).await, (5, Ok(())));

    is_refused(&connect(&server, ClientTls { own: None, ..accepted.clone() })).await;
    is_refused(&connect(&server, ClientTls { own: Some(signed(&theirs, "gateway")), ..accepted.clone() })).await;
    is_refused(&connect(&server, ClientTls { authority: theirs.pem(), ..accepted.clone() })).await;
    is_refused(&connect(&server, ClientTls { server_name: Some("elsewhere".to_owned()), ..accepted })).await;

    let Listen::Tcp(address) = server.listen() else { panic!("it listens on a port") };
    let plain = RemoteNode::connect(&format!("http://{address}"), &RemoteOptions::default()).expect("an endpoint");
    is_refused(&plain).await;
    local.stop().await;
}

#[actix::test]
async fn a_worker_without_a_client_authority_accepts_clients_without_certificates() {
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
