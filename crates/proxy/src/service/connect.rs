//! Making a connection to a target.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::TargetAddress;
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

/// Connects within `limit` (zero: no limit).
pub(crate) async fn connect(
    address: &TargetAddress,
    deadline: &Deadline,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    deadline.start(Wait::Service, limit);
    let mut attempt = pin!(open(address));
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

async fn open(address: &TargetAddress) -> io::Result<Stream> {
    let stream = match address {
        TargetAddress::Ip(address) => TcpStream::connect(*address).await?,
        TargetAddress::Name(host, port) => TcpStream::connect((host.as_str(), *port)).await?,
        TargetAddress::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix),
    };
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}
