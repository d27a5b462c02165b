//! The actix server, without any routes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Server};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};

use super::limits::LAST_BYTES;
use super::observe::observe;
use super::state::AppState;
use super::trust::trust;

/// Binds, and returns the bound address and the server, which serves once it is polled.
///
/// # Errors
/// If the address cannot be bound, or the certificate of the clients' authority cannot be read.
pub(crate) fn bind(
    state: &web::Data<AppState>,
    routes: fn(&mut web::ServiceConfig),
) -> io::Result<(SocketAddr, Server)> {
    let config = &state.config;
    let listener = TcpListener::bind(config.address)?;
    let address = listener.local_addr()?;
    let stalled_client_timeout = config.stalled_client_timeout;
    let app_state = state.clone();
    let server = HttpServer::new(move || {
        let app = App::new().app_data(app_state.clone()).configure(routes);
        app.wrap(from_fn(trust)).wrap(from_fn(observe)).wrap(NormalizePath::trim())
    })
    .workers(config.http_threads)
    .max_connections(config.connections_max)
    .keep_alive(config.keep_alive)
    .client_request_timeout(config.head_timeout)
    // A client that closes its sending side has disconnected: its generation stops at
    // once, not some tokens later, when a write fails.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .on_connect(move |connection, _: &mut Extensions| {
        let encrypted = connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
        if let Some(connection) = connection.downcast_ref::<TcpStream>().or(encrypted) {
            set_stalled_client_timeout(connection, stalled_client_timeout);
        }
    })
    .disable_signals()
    .shutdown_timeout((config.drain_timeout + 3 * LAST_BYTES).as_secs());
    let server = match &state.certificate {
        None => server.listen(listener)?,
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?)?,
    };
    Ok((address, server.run()))
}

/// Makes the kernel close the connection if its client leaves sent data unread or
/// unacknowledged for this long.
#[cfg(target_os = "linux")]
fn set_stalled_client_timeout(connection: &TcpStream, timeout: Duration) {
    if let Err(error) = socket2::SockRef::from(connection).set_tcp_user_timeout(Some(timeout)) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
}

/// On other systems, only the number of connections bounds stalled clients.
#[cfg(not(target_os = "linux"))]
fn set_stalled_client_timeout(_: &TcpStream, _: Duration) {}
