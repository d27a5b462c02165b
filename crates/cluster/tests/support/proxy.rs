//! A network between two ends that can hang and break.

use std::net::SocketAddr;

use hostler_cluster::Listen;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards bytes unless it hangs.
pub(crate) struct Proxy {
    address: SocketAddr,
    flows: watch::Sender<bool>,
    /// Each increment closes all connections.
    cuts: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) async fn start(to: &Listen) -> Self {
        let Listen::Tcp(to) = *to else { panic!("the proxy forwards to a TCP port") };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (flows, flowing) = watch::channel(true);
        let (cuts, cutting) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (flowing, mut cutting) = (flowing.clone(), cutting.clone());
                cutting.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = forward(near_read, far_write, flowing.clone()) => {}
                        () = forward(far_read, near_write, flowing) => {}
                        _ = cutting.changed() => {}
                    }
                });
            }
        });
        Self { address, flows, cuts }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forwards nothing any more; connections stay open.
    pub(crate) fn hang(&self) {
        self.flows.send_replace(false);
    }

    pub(crate) fn resume(&self) {
        self.flows.send_replace(true);
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flowing: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if flowing.wait_for(|flows| *flows).await.is_err() || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
