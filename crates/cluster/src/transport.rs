//! Limits and intervals of the transport, for both ends.
//!
//! gRPC is HTTP/2: many streams share a connection, and each stream has a window, which is the
//! number of bytes that may be sent before the reader has taken them. A slow reader fills its
//! own window and nothing else, because the connection's window is as large as the windows of
//! all its streams together. The sender then stops asking the scheduler for tokens, and they
//! wait in the sequence's own channel, which has room for all of them.

use std::time::Duration;

use hostler_util::Backoff;

/// Maximum number of concurrent calls on one connection. A scheduler holds 256 requests and a
/// batch by default, so this is enough for a dozen schedulers. A stream costs a few hundred
/// bytes.
pub const STREAMS_MAX: u32 = 4096;

/// Window of a stream towards the gateway: 64 KiB are about 2,000 tokens, which is more than
/// most answers have.
pub const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Window of a connection towards the gateway: the windows of all streams, so that slow readers
/// take nothing from the others.
pub const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Window of a request towards the worker. Workers read at once, so this bounds what is in
/// transit: a prompt of 1 MiB takes one round trip.
pub const REQUEST_WINDOW_BYTES: u32 = 1024 * 1024;

/// Window of a connection towards the worker: sixteen prompts of 1 MiB at once.
pub const REQUESTS_WINDOW_BYTES: u32 = 16 * REQUEST_WINDOW_BYTES;

/// Maximum size of a message. A context of a million tokens takes 5 MB as token ids, and about
/// as much as text; the HTTP server's own limit is reached before this one.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Maximum number of events in one message: what a fast engine produces between two reads.
pub const EVENTS_MAX: usize = 64;

/// Minimum time between two observations that an observer gets: 20 a second. The router counts
/// the requests that it has sent itself, so it does not depend on a fresher view.
pub const OBSERVATION_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Maximum time between two observations: without changes, an empty one is sent as a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// HTTP/2 keep-alive pings.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// Time between two pings.
    pub interval: Duration,
    /// How long the answer may take before the connection is closed.
    pub timeout: Duration,
}

/// A gateway's pings. It gives up a connection that hangs after 2 + 3 s; a missing heartbeat is
/// noticed earlier.
pub const CLIENT_KEEP_ALIVE: KeepAlive =
    KeepAlive { interval: Duration::from_secs(2), timeout: Duration::from_secs(3) };

/// A worker's pings. It gives up a gateway that hangs after 5 + 5 s, and cancels that gateway's
/// requests. The interval is longer than the gateway's because giving up loses work.
pub const WORKER_KEEP_ALIVE: KeepAlive =
    KeepAlive { interval: Duration::from_secs(5), timeout: Duration::from_secs(5) };

/// Maximum time to establish a connection, TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Pauses between attempts to reach a lost worker.
pub const RECONNECT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
