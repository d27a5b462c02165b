//! Watches the workers' records in etcd.

use etcd_client::{EventType, GetOptions, WatchOptions};
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use super::client::{BACKOFF, EtcdOptions, Failure, connect, failure, in_time};
use super::roster::Roster;

/// After so long without a message, etcd is asked for one.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Keeps `roster` equal to the records below `prefix` until nothing receives it any more. While
/// etcd is unavailable, the roster does not change.
pub(super) async fn keep_watching(options: EtcdOptions, prefix: String, roster: watch::Sender<Roster>) {
    let mut attempts = BACKOFF.attempts();
    let mut is_reported = false;
    while !roster.is_closed() {
        let Err((why, was_connected)) = Box::pin(watch_once(&options, &prefix, &roster)).await;
        if was_connected {
            attempts.reset();
            is_reported = false;
        }
        if is_reported {
            tracing::debug!(why, "still cannot watch the members in etcd");
        } else {
            let endpoints = options.config.endpoints.join(", ");
            tracing::warn!(endpoints, why, "cannot watch the members in etcd; trying again");
        }
        is_reported = true;
        tokio::time::sleep(attempts.next_pause()).await;
    }
}

/// Watches until it fails. The error has the reason, and whether the watch was established.
async fn watch_once(
    options: &EtcdOptions,
    prefix: &str,
    roster: &watch::Sender<Roster>,
) -> Result<std::convert::Infallible, (Failure, bool)> {
    let mut client = connect(options).await.map_err(|why| (why, false))?;
    let all = in_time(client.get(prefix, Some(GetOptions::new().with_prefix()))).await.map_err(|why| (why, false))?;
    let revision = all.header().map_or(0, etcd_client::ResponseHeader::revision);
    let name = |key: &[u8]| std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(prefix)).map(str::to_owned);
    let records: Vec<_> = all.kvs().iter().filter_map(|record| Some((name(record.key())?, record.value()))).collect();
    roster.send_if_modified(|roster| {
        let before = roster.clone();
        roster.replace(records.iter().map(|(name, value)| (name.as_str(), *value)));
        *roster != before
    });
    let from_there = WatchOptions::new().with_prefix().with_start_revision(revision + 1);
    let watching = in_time(client.watch(prefix, Some(from_there))).await.map_err(|why| (why, true))?;
    let (mut requests, mut responses) = watching.split();
    let lost = |why: Failure| (why, true);
    loop {
        let response = match timeout(SILENCE_MAX, responses.message()).await {
            Ok(response) => response.map_err(|error| lost(failure(error)))?,
            Err(_) => {
                in_time(requests.request_progress()).await.map_err(lost)?;
                in_time(responses.message()).await.map_err(lost)?
            }
        };
        let Some(response) = response else { return Err(lost("it closed the stream".to_owned())) };
        if response.canceled() {
            // For example after a compaction: all records have to be read again.
            return Err(lost(format!("it cancelled the watch: {}", response.cancel_reason())));
        }
        if response.events().is_empty() {
            continue;
        }
        roster.send_modify(|roster| {
            for event in response.events() {
                let Some(record) = event.kv() else { continue };
                let Some(name) = name(record.key()) else { continue };
                roster.apply(&name, (event.event_type() == EventType::Put).then(|| record.value()));
            }
        });
    }
}
