//! Connections that can't be held for ever: a bounded number, each with a time by which it must move on.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Most connections to one listener; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 128;
/// From a request's first byte to the first byte of its answer, and from there on each part of the answer. Longer than a
/// handler takes, so that a slow handler can still say so.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection stays open without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause after the kernel refused a connection (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A TCP listener whose connections are bounded in number and time.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let permit = self.permits.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, address)) => return (Connection::new(stream, permit.ok()), address),
                Err(error) => {
                    tracing::debug!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with a deadline. It is idle until bytes come; from then on it is in an exchange until bytes go out.
pub(super) struct Connection<S = TcpStream> {
    stream: S,
    deadline: Pin<Box<Sleep>>,
    in_exchange: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S, permit: Option<OwnedSemaphorePermit>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(EXCHANGE_TIMEOUT));
        Self { stream, deadline, in_exchange: false, _permit: permit }
    }

    fn move_deadline(&mut self, after: Duration) {
        self.deadline.as_mut().reset(Instant::now() + after);
    }

    /// An error if the deadline has passed; registers for a wake-up at the deadline otherwise.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.deadline.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Takes note of bytes that went out.
    fn wrote<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => self.check_deadline(cx).map(Err),
            ready => {
                self.in_exchange = false;
                self.move_deadline(IDLE_TIMEOUT);
                ready
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.check_deadline(cx).map(Err),
            ready => {
                // Only the first bytes set the time: a request that trickles in does not gain any.
                if !std::mem::replace(&mut self.in_exchange, true) {
                    self.move_deadline(EXCHANGE_TIMEOUT);
                }
                ready
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    fn pair() -> (Connection<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64);
        (Connection::new(ours, None), theirs)
    }

    async fn read(connection: &mut Connection<DuplexStream>) -> io::Result<usize> {
        connection.read(&mut [0; 16]).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed() {
        let (mut connection, _theirs) = pair();
        let begin = Instant::now();
        assert_eq!(read(&mut connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), EXCHANGE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_closed() {
        let (mut connection, mut theirs) = pair();
        let begin = Instant::now();
        let trickle = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            if let Err(error) = read(&mut connection).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() <= EXCHANGE_TIMEOUT + Duration::from_secs(1));
        drop(connection);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_connection_may_idle_longer() {
        let (mut connection, mut theirs) = pair();
        theirs.write_all(b"request").await.unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), 7);
        connection.write_all(b"answer").await.unwrap();
        let begin = Instant::now();
        assert_eq!(read(&mut connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), IDLE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_reading_is_closed() {
        let (mut connection, mut theirs) = pair();
        theirs.write_all(b"request").await.unwrap();
        read(&mut connection).await.unwrap();
        let error = connection.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
