//! Requests to a service in HTTP/2 (RFC 9113): streams of connections that a worker shares among its clients.

use std::future::poll_fn;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, HeaderValue, TE};
use http::{Method, StatusCode, Uri, Version};
use smallvec::SmallVec;
use tollgate_core::plugin::Outcome;
use tollgate_core::{Body, Context, Kind, Known, Reject, Request, Response};

use super::connect;
use super::http2_body::{Answer, Upload};
use super::pool::{Occupied, Pool};
use super::rewrite::{self, Outside};
use super::send::{Exchange, Lease, no_target, reject_connect};
use super::{Target, connect::ConnectError};
use crate::http1::fields::content_length;
use crate::http2::fields;
use crate::timer::{Wait, coarse_now};

/// What a service may send of a body before a window opens, for each stream and for the connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What may wait in a stream for the service to take.
const SEND_BUFFER: usize = 32 * 1024;
/// The longest list of fields that is taken: that of an answer in HTTP/1.
const MAX_HEAD: u32 = 64 * 1024;

/// Why a try brought no answer.
enum Failed {
    Connect(ConnectError),
    /// The service said that it did not begin with the request.
    Refused(h2::Error),
    /// Anything else; what to say of it.
    Reject(Reject),
}

impl Exchange<'_> {
    /// Gets an answer for `request` from one of the service's targets, which speak HTTP/2.
    pub(super) async fn send_http2(&self, cx: &mut Context<'_>, request: &mut Request, key: Option<u64>) -> Outcome {
        let mut tried: SmallVec<[usize; 2]> = SmallVec::new();
        let mut last: Option<Reject> = None;
        loop {
            let Some((index, target)) = self.service.pick(key, &tried) else {
                return Err(last.unwrap_or_else(no_target));
            };
            if !self.preserve_host || request.authority().is_empty() {
                request.set_host_field(&target.authority);
            }
            if cx.upstream.tries > 0 {
                self.worker.count(|count| count.retries.add(1));
            }
            cx.upstream.tries += 1;
            if self.view.snapshot.access_log.is_some() {
                cx.upstream.target = Some(target.label.clone());
            }
            let again = cx.upstream.tries <= self.service.retries;
            let rejected = match self.try_http2(cx, request, index, target).await {
                Ok(response) => return Ok(response),
                Err(Failed::Connect(error)) if again => reject_connect(error),
                // The body is taken once it is being sent.
                Err(Failed::Refused(error)) if again && !matches!(request.body, Body::Stream(_)) => closed(error),
                Err(Failed::Connect(error)) => return Err(reject_connect(error)),
                Err(Failed::Refused(error)) => return Err(closed(error)),
                Err(Failed::Reject(reject)) => return Err(reject),
            };
            tried.push(index);
            last = Some(rejected);
        }
    }

    async fn try_http2(
        &self,
        cx: &Context<'_>,
        request: &mut Request,
        index: usize,
        target: &Target,
    ) -> Result<Response, Failed> {
        let mut lease = Lease::new(self, index);
        let (mut sender, occupied) = self.connection(index, target).await.map_err(Failed::Connect)?;
        let head = self.head(request, target)?;
        let (body, rest) = match std::mem::take(&mut request.body) {
            Body::Empty => (None, Body::Empty),
            Body::Bytes(bytes) if bytes.is_empty() => (None, Body::Empty),
            Body::Bytes(bytes) => (Some(Body::Bytes(bytes.clone())), Body::Bytes(bytes)),
            body @ Body::Stream(_) => (Some(body), Body::Empty),
        };
        request.body = rest;
        let (answer, stream) = sender.send_request(head, body.is_none()).map_err(failed)?;
        let mut upload = body.map(|body| Upload::new(stream, body));
        let answer = self.await_head(answer, &mut upload).await?;
        lease.answered(answer.status());
        self.answer_http2(cx, request, answer, upload, (lease, occupied))
    }

    /// A connection with room for a stream: one that is open, or a new one.
    async fn connection(&self, index: usize, target: &Target) -> Result<(SendRequest<Bytes>, Occupied), ConnectError> {
        let gone = || ConnectError::Failed(std::io::Error::other("the target has no pool"));
        let pool = self.view.pools.get(self.service.first_pool + index).cloned().ok_or_else(gone)?;
        if let Some(taken) = pool.take_http2(coarse_now()) {
            self.worker.count(|count| count.upstream_reuses.add(1));
            return Ok(taken);
        }
        let opened = Box::pin(self.open(&pool, target)).await?;
        self.worker.count(|count| count.upstream_connects.add(1));
        Ok(opened)
    }

    async fn open(&self, pool: &Pool, target: &Target) -> Result<(SendRequest<Bytes>, Occupied), ConnectError> {
        let deadline = self.client.deadline();
        let opening = target.opening(self.client.peer().info.peer, || self.client.local_address());
        let limit = self.service.timeouts.connect;
        let stream = connect::connect(&target.address, &opening, target.tls.as_ref(), deadline, limit).await?;
        let broken = |error: h2::Error| ConnectError::Failed(std::io::Error::other(error));
        let (mut sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(broken)?;
        // It ends when its last handle and its last stream are gone; what went wrong each stream has been told.
        tokio::task::spawn_local(async move { drop(connection.await) });
        poll_fn(|cx| sender.poll_ready(cx)).await.map_err(broken)?;
        // One that says whom it is for is not for others: the pool of such a target keeps nothing.
        Ok(pool.put_http2(sender, coarse_now()))
    }

    /// The request's head (RFC 9113 §8.3.1).
    fn head(&self, request: &Request, target: &Target) -> Result<http::Request<()>, Failed> {
        let mut path = String::with_capacity(self.service.base_path.len() + request.path().len() + 64);
        path.push_str(&self.service.base_path);
        path.push_str(request.path());
        if let Some(query) = request.query() {
            path.push('?');
            path.push_str(query);
        }
        let scheme = if target.tls.is_some() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(request.host_field()).path_and_query(path).build();
        let uri = uri.map_err(|error| {
            Failed::Reject(Reject::new(Kind::BadTarget, "The request cannot be sent in HTTP/2.").because(error))
        })?;
        let mut head = http::Request::new(());
        *head.method_mut() = request.method.clone();
        *head.version_mut() = Version::HTTP_2;
        *head.uri_mut() = uri;
        *head.headers_mut() = fields::to_map(&request.headers);
        let has_content = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        if let Some(length) = request.body.length().filter(|length| *length > 0 || has_content) {
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        // gRPC asks for it, and nobody minds.
        head.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        Ok(head)
    }

    /// Waits for the head of the answer, sending what there is of the request meanwhile.
    async fn await_head(
        &self,
        mut answer: ResponseFuture,
        upload: &mut Option<Upload>,
    ) -> Result<http::Response<RecvStream>, Failed> {
        let client = &**self.client;
        let deadline = client.deadline();
        let timeouts = &self.service.timeouts;
        poll_fn(|cx| {
            let was_sending = upload.is_some();
            if let Poll::Ready(done) = poll_upload(upload, cx) {
                done.map_err(|reject| Failed::Reject(*reject))?;
            }
            if was_sending && upload.is_none() {
                deadline.done(Wait::Service);
            }
            if let Poll::Ready(answer) = std::pin::Pin::new(&mut answer).poll(cx) {
                deadline.done(Wait::Service);
                return Poll::Ready(answer.map_err(failed));
            }
            let limit = match upload {
                Some(upload) if upload.waits_for_client() => {
                    deadline.done(Wait::Service);
                    Duration::ZERO
                }
                Some(_) => timeouts.idle,
                None => timeouts.first_byte,
            };
            if deadline.overdue(Wait::Service, limit, cx) {
                return Poll::Ready(Err(timed_out(limit)));
            }
            if deadline.is_over(Wait::Total) {
                return Poll::Ready(Err(timed_out(timeouts.total)));
            }
            if upload.is_none() && client.poll_gone(cx) {
                return Poll::Ready(Err(Failed::Reject(Reject::new(Kind::ClientGone, "The client is gone."))));
            }
            Poll::Pending
        })
        .await
    }

    fn answer_http2(
        &self,
        cx: &Context<'_>,
        request: &Request,
        answer: http::Response<RecvStream>,
        upload: Option<Upload>,
        held: (Lease, Occupied),
    ) -> Result<Response, Failed> {
        let (head, stream) = answer.into_parts();
        let bad = |detail| Failed::Reject(Reject::new(Kind::BadAnswer, detail));
        if head.status.is_informational() {
            return Err(bad("The service switches protocols, which HTTP/2 does not do."));
        }
        let length = match head.headers.get(CONTENT_LENGTH) {
            Some(length) => Some(
                content_length(length.as_bytes()).ok_or_else(|| bad("The service's Content-Length is no number."))?,
            ),
            None => None,
        };
        let mut headers = fields::from_map(&head.headers, |known| {
            !matches!(known, Known::ContentLength | Known::Disguised | Known::Te | Known::KeepAlive | Known::Connection)
        });
        rewrite::answer(
            &mut headers,
            &Outside {
                scheme: cx.scheme,
                authority: request.authority(),
                service: self.service,
                stripped: self.stripped.as_deref(),
            },
        );
        let mut response = Response::with_headers(head.status, headers);
        if request.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED {
            response.declared_length = length;
        }
        if !stream.is_end_stream() {
            let idle = self.service.timeouts.idle;
            let body = Answer::new(self.client.clone(), stream, length, upload, idle, held);
            response.body = Body::Stream(Box::new(body));
        }
        Ok(response)
    }
}

/// Goes on with sending the body; ready when that is over, or failed for the client's sake. A service that takes no more
/// may have answered.
fn poll_upload(upload: &mut Option<Upload>, cx: &mut task::Context<'_>) -> Poll<Result<(), Box<Reject>>> {
    let Some(sending) = upload else { return Poll::Ready(Ok(())) };
    let done = std::task::ready!(sending.poll(cx));
    *upload = None;
    Poll::Ready(done.map_err(|error| Box::new(super::send::reject_body(error))))
}

fn timed_out(limit: Duration) -> Failed {
    let reject = Reject::new(Kind::AnswerTimeout, "The service did not answer in time.");
    Failed::Reject(reject.because(format!("nothing came for {limit:?}")))
}

fn closed(error: h2::Error) -> Reject {
    Reject::new(Kind::ServiceClosed, "The service closed the connection without an answer.").because(error)
}

/// What an error of a stream says of the request.
fn failed(error: h2::Error) -> Failed {
    let refused = error.reason() == Some(Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote());
    if refused { Failed::Refused(error) } else { Failed::Reject(closed(error)) }
}
