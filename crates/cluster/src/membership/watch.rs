//! Watches the workers' records.

use etcd_client::{EventType, GetOptions, WatchOptions};
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use super::calls::{BACKOFF, EtcdOptions, Failure, connect, failure, in_time};
use super::roster::Roster;

/// After so long without news etcd is asked whether it is there.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Keeps `roster` as what stands below `prefix`, until nobody looks at it. While etcd
/// is away it stays as it was.
pub(super) async fn keep_watching(options: EtcdOptions, prefix: String, roster: watch::Sender<Roster>) {
    let mut backoff = BACKOFF.0;
    let mut said = false;
    while !roster.is_closed() {
        let Err((why, connected)) = Box::pin(watch_once(&options, &prefix, &roster)).await;
        if connected {
            (backoff, said) = (BACKOFF.0, false);
        }
        if said {
            tracing::debug!(why, "the members in etcd are still not watched");
        } else {
            tracing::warn!(why, "the members in etcd are not watched; trying again");
        }
        said = true;
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

/// Why it ended, and whether it had begun.
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
    let (mut ask, mut changes) = watching.split();
    let lost = |why: Failure| (why, true);
    loop {
        let news = match timeout(SILENCE_MAX, changes.message()).await {
            Ok(news) => news.map_err(|error| lost(failure(error)))?,
            Err(_) => {
                in_time(ask.request_progress()).await.map_err(lost)?;
                in_time(changes.message()).await.map_err(lost)?
            }
        };
        let Some(news) = news else { return Err(lost("it closed the stream".to_owned())) };
        if news.canceled() {
            // As after a compaction: all is read anew.
            return Err(lost(format!("it ended the watch: {}", news.cancel_reason())));
        }
        if news.events().is_empty() {
            continue;
        }
        roster.send_modify(|roster| {
            for event in news.events() {
                let Some(record) = event.kv() else { continue };
                let Some(name) = name(record.key()) else { continue };
                roster.take_in(&name, (event.event_type() == EventType::Put).then(|| record.value()));
            }
        });
    }
}
