//! A limit on concurrent connections: further ones are closed at once.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use futures_util::future::{Ready, ready};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Layer;

/// Accepts connections up to a limit. Each accepted connection holds a permit until it ends.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimit(Arc<Semaphore>);

impl ConnectionLimit {
    pub(crate) fn at_most(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }
}

impl<S> Accept<TcpStream, S> for ConnectionLimit {
    type Stream = TcpStream;
    // The service, and with it the permit, lives as long as its connection.
    type Service = AddExtension<S, Arc<OwnedSemaphorePermit>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = self.0.clone().try_acquire_owned();
        let accepted = permit.map_err(|_| io::Error::other("too many connections")).and_then(|permit| {
            stream.set_nodelay(true)?;
            Ok((stream, Extension(Arc::new(permit)).layer(service)))
        });
        ready(accepted)
    }
}
