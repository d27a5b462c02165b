//! Calls to etcd, each with a timeout.

use std::future::Future;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error, TlsOptions};
use hostler_config::EtcdConfig;
use hostler_protocol::RequestError;
use hostler_util::Backoff;
use tokio::time::timeout;

use crate::tls::ClientTls;
use crate::wire;

/// How etcd is reached.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// Its endpoints, the prefix of its keys, and the time to live of records.
    pub config: EtcdConfig,
    /// The certificates that `config.tls` names, for `https` endpoints.
    pub tls: Option<ClientTls>,
}

/// Timeout of each call. It is a small part of every lease.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Pauses between attempts to connect.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// Why a call failed, as text.
pub(super) type Failure = String;

/// A client, which connects with the first call.
pub(super) async fn connect(options: &EtcdOptions) -> Result<Client, Failure> {
    // No HTTP/2 pings: etcd treats more than one in five seconds as an attack, and the calls
    // themselves show whether it is there. A member of etcd without a leader must not answer,
    // because its data may be outdated.
    let mut connect = ConnectOptions::new().with_connect_timeout(CALL_TIMEOUT).with_require_leader(true);
    if let Some(tls) = &options.tls {
        let config: TlsOptions = tls.config();
        connect = connect.with_tls(config);
    }
    in_time(Client::connect(&options.config.endpoints, Some(connect))).await
}

/// The answer to a call, or a failure if it takes longer than [`CALL_TIMEOUT`].
pub(super) async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(format!("it does not answer within {CALL_TIMEOUT:?}")),
    }
}

/// An error as text. A status is described without tonic's boilerplate.
pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::GRpcStatus(status) => wire::describe(&status),
        other => other.to_string(),
    }
}

pub(super) fn unavailable(why: &str) -> RequestError {
    RequestError::unavailable(format!("etcd cannot be used: {why}"))
}
