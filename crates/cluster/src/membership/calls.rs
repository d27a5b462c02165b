//! Calls to etcd, none of which takes long.

use std::future::Future;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error, TlsOptions};
use tokio::time::timeout;

use crate::tls::ClientTls;
use crate::wire;

/// How etcd is reached.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The members of the etcd cluster, as `http://HOST:PORT` or `https://HOST:PORT`.
    pub endpoints: Vec<String>,
    /// What this cluster's keys begin with, as `/hostler`.
    pub prefix: String,
    /// How long a record lasts without its writer. At least 2 s, and whole seconds count.
    pub lease: Duration,
    /// Who is at the other end of an `https` URL.
    pub tls: Option<ClientTls>,
}

/// A call that takes longer has failed. It is a small part of every lease.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Between tries: the first pause, and the longest.
pub(super) const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Why etcd could not be asked, for people to read.
pub(super) type Failure = String;

/// The connection. It is made with the first call.
pub(super) async fn connect(options: &EtcdOptions) -> Result<Client, Failure> {
    // No pings of HTTP/2: etcd takes more than one in five seconds for an attack. That
    // it is there shows in the answers that are asked for anyway.
    // A member of etcd without a leader would show what was true once.
    let mut connect = ConnectOptions::new().with_connect_timeout(CALL_TIMEOUT).with_require_leader(true);
    if let Some(tls) = &options.tls {
        let config: TlsOptions = tls.config();
        connect = connect.with_tls(config);
    }
    in_time(Client::connect(&options.endpoints, Some(connect))).await
}

/// The answer to a call, if it comes in time.
pub(super) async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(format!("it does not answer within {CALL_TIMEOUT:?}")),
    }
}

/// A status says at length what its cause says in short.
pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::GRpcStatus(status) => wire::describe(&status),
        other => other.to_string(),
    }
}
