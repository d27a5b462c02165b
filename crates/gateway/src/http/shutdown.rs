//! The shutdown of the server: announced, drained, stopped.

use std::io;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::rt::task::JoinHandle;
use hostler_router::Router;

use super::limits::LAST_BYTES;
use super::state::AppState;

/// How long the hand-over of an accepted connection to a worker thread may take.
const HAND_OVER: Duration = Duration::from_millis(5);

/// How often the router is checked during a shutdown.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Stops a server without failures that a client behind a load balancer could see.
///
/// 1. `/readyz` answers 503, and each connection closes after its current response. For
///    `unready` everything else continues, so that a balancer that probes `/readyz` can send
///    new clients elsewhere.
/// 2. The listener closes: new connections are refused and can be retried at another gateway.
/// 3. Running requests continue for `drain_timeout`, then they are cancelled.
///
/// Returns whether everything ended in time.
pub(crate) async fn shut_down(state: &AppState, server: ServerHandle, mut task: JoinHandle<io::Result<()>>) -> bool {
    state.begin_to_leave();
    tokio::time::sleep(state.config.unready).await;
    // If a connection is handed to an actix worker and closed at the moment in which the worker
    // is told to stop, the worker may count one connection too few, and end with a stream still
    // running. Pausing first ensures that no connection is handed over at that moment.
    server.pause().await;
    tokio::time::sleep(HAND_OVER).await;
    // `stop` closes the listener and idle connections at once, and completes when no connection
    // is left. Its own timeout is longer than what is waited for here.
    let stopping = actix_web::rt::spawn(server.stop(true));
    let (ended, in_time) = tokio::select! {
        ended = &mut task => (Some(ended), true),
        // The connections that remain have no request and do not read.
        () = idle_for(&state.router, LAST_BYTES) => (None, true),
        () = tokio::time::sleep(state.config.drain_timeout) => {
            let in_time = state.router.is_idle();
            cancel_remaining(&state.router).await;
            (tokio::time::timeout(LAST_BYTES, &mut task).await.ok(), in_time)
        }
    };
    // No request arrives over HTTP any more. Refuse those of other callers too.
    if tokio::time::timeout(LAST_BYTES, state.router.drain()).await.is_err() {
        tracing::warn!("requests are left in the router");
    }
    match ended {
        Some(Ok(Ok(()))) => return in_time,
        Some(Ok(Err(error))) => tracing::error!(%error, "the HTTP server failed"),
        Some(Err(error)) => tracing::error!(%error, "the task of the HTTP server failed"),
        None => {
            stopping.abort();
            task.abort();
            return in_time;
        }
    }
    false
}

/// Returns when the router has been idle for this long.
async fn idle_for(router: &Router, duration: Duration) {
    let mut since = Instant::now();
    while since.elapsed() < duration {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if !router.is_idle() {
            since = Instant::now();
        }
    }
}

/// Refuses new requests, and cancels the others until none is left: a request cannot be
/// cancelled while it is being handed over, so one attempt is not enough.
async fn cancel_remaining(router: &Router) {
    let cancelling = async {
        loop {
            router.cancel_all().await;
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    };
    tokio::select! {
        () = router.drain() => {}
        () = cancelling => {}
        () = tokio::time::sleep(LAST_BYTES) => tracing::warn!("cancelled requests did not end in time"),
    }
}
