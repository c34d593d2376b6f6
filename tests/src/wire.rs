//! A wire that can be read: a proxy between device and server that keeps every byte.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What went over the wire, in both directions.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    /// Listens, and passes everything on to `server`. Gives the address to send to.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn tap(&self, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                tokio::spawn(wire.clone().pass(near_read, far_write));
                tokio::spawn(wire.clone().pass(far_read, near_write));
            }
        });
        address
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When a task that used the wire panicked.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    async fn pass(self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut piece = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            self.0.lock().unwrap().extend_from_slice(&piece[..length]);
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
        // The other side sees the end, too.
        let _ = to.shutdown().await;
    }
}
