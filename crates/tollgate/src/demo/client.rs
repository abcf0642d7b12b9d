//! A client that makes one request on a connection of its own, as curl does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a request may take, its answer read to the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, and how long it took.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// From the start to the head and to the first part of the body, if it has any.
    pub(crate) first_byte: Duration,
    /// From the start to the end of the body.
    pub(crate) total: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no connection to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("no whole answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("no whole answer within {} s", PATIENCE.as_secs())]
    TimedOut,
}

/// Sends a request to an address and reads the answer.
///
/// # Errors
/// If no whole answer comes in time.
pub(crate) async fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
    tokio::time::timeout(PATIENCE, exchange(address, request)).await.unwrap_or(Err(ClientError::TimedOut))
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
    let started = Instant::now();
    let stream = TcpStream::connect(address).await.map_err(|error| ClientError::Connect(address, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with the connection the request learns as well.
    tokio::spawn(connection);
    let (head, mut incoming) = sender.send_request(request).await?.into_parts();
    let mut first_byte = None;
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await.transpose()? {
        first_byte.get_or_insert_with(|| started.elapsed());
        if let Ok(data) = frame.into_data() {
            body.extend_from_slice(&data);
        }
    }
    let total = started.elapsed();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        first_byte: first_byte.unwrap_or(total),
        total,
    })
}
