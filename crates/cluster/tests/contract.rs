//! A remote scheduler meets the contract of all scheduler handles.

mod support;

use hostler_cluster::{Listen, RemoteOptions};
use hostler_scheduler::contract::{Subject, run_all};
use support::{Pair, socket};

#[actix::test]
async fn a_remote_scheduler_meets_the_contract_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    meets_the_contract(&socket(&folder)).await;
}

#[actix::test]
async fn a_remote_scheduler_meets_the_contract_on_a_tcp_port() {
    meets_the_contract(&"127.0.0.1:0".parse().expect("it is an address")).await;
}

async fn meets_the_contract(listen: &Listen) {
    let report = run_all(async |config, engine| {
        let pair = Pair::start(config, engine, listen.clone(), &RemoteOptions::default()).await;
        Subject { scheduler: pair.remote.clone(), local: pair.local.clone(), connection: Box::new(pair) }
    })
    .await;
    println!("{report}");
    report.assert_passed();
}
