//! The numbers of the transport, for both ends.
//!
//! gRPC is HTTP/2: many streams share a connection, each with a window of bytes that
//! the reader has not taken yet. A reader that does not read fills its own window and
//! nothing else, because the connection's window is as large as all its streams'
//! windows together. Then the other end stops asking the scheduler for tokens, and
//! they wait in the sequence's own channel, which holds them all.

use std::time::Duration;

/// Most calls on one connection at once. A scheduler holds 256 requests and a batch by
/// default, so this is a dozen schedulers' worth; each costs a few hundred bytes.
pub const STREAMS_MAX: u32 = 4096;

/// Bytes of a stream that a client has not read: 64 KiB are about 2,000 tokens, which is
/// more than most answers have.
pub const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes of a connection that a client has not read: every stream's window, so that
/// slow readers never take from the others.
pub const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;

/// Bytes of a request that a worker has not read yet. Workers read at once; this is what
/// may be on its way: a prompt of 1 MiB takes one round trip.
pub const REQUEST_WINDOW_BYTES: u32 = 1024 * 1024;

/// The same for a connection: sixteen prompts of that length at once.
pub const REQUESTS_WINDOW_BYTES: u32 = 16 * REQUEST_WINDOW_BYTES;

/// Largest message. A context of a million tokens has 5 MB as ids, and text of them
/// about as much; the HTTP server's own limit is met before this one.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most events in one message: what a fast engine has ready while the reader was away.
pub const EVENTS_MAX: usize = 64;

/// Least time between two snapshots of one observer: 20 a second. The router counts
/// what it has sent itself, so it does not depend on a quicker view.
pub const SNAPSHOT_PACE: Duration = Duration::from_millis(50);

/// An observer hears from its worker at least this often.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How often a client asks with an HTTP/2 ping whether a connection lives, and how long
/// the answer may take. A connection that hangs is given up after 2 + 3 s; the silence
/// of its observer is noticed before.
pub const CLIENT_PING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(3));

/// The same for a worker: after 5 + 5 s it gives up on a gateway, and the requests that
/// it had from it are cancelled. Longer, because giving up loses work.
pub const WORKER_PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));

/// How long a connection may take to come about, its TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause before a lost worker is tried again; it doubles from the first to the second.
pub const RECONNECT_BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
