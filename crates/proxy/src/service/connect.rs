//! Making a connection to a target.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{TargetAddress, TargetTls};
use crate::stream::Stream;
use crate::timer::{Deadline, Wait};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    #[error("no connection")]
    Failed(#[source] io::Error),
}

/// Connects, sends `opening`, and shakes hands by `tls` if there is one, within `limit` (zero: no limit).
pub(crate) async fn connect(
    address: &TargetAddress,
    opening: &[u8],
    tls: Option<&TargetTls>,
    deadline: &Deadline,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    deadline.start(Wait::Service, limit);
    let mut attempt = pin!(open(address, opening, tls));
    let outcome = poll_fn(|cx| match attempt.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome.map_err(ConnectError::Failed)),
        Poll::Pending if deadline.overdue(Wait::Service, limit, cx) || deadline.is_over(Wait::Total) => {
            Poll::Ready(Err(ConnectError::Timeout(limit)))
        }
        Poll::Pending => Poll::Pending,
    })
    .await;
    deadline.done(Wait::Service);
    outcome
}

async fn open(address: &TargetAddress, opening: &[u8], tls: Option<&TargetTls>) -> io::Result<Stream> {
    let mut stream = match address {
        TargetAddress::Ip(address) => tcp(TcpStream::connect(*address).await?)?,
        TargetAddress::Name(host, port) => tcp(TcpStream::connect((host.as_str(), *port)).await?)?,
        TargetAddress::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
    };
    stream.write_all(opening).await?;
    let Some(tls) = tls else { return Ok(stream) };
    let secured = TlsConnector::from(tls.tls.config().clone()).connect(tls.name.clone(), stream).await?;
    Ok(Stream::Tls(Box::new(TlsStream::from(secured))))
}

fn tcp(stream: TcpStream) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}
