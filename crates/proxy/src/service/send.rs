//! The way of a request to a service: pick a target, get a connection, send, try again only where that is safe.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use smallvec::SmallVec;
use tollgate_core::grpc;
use tollgate_core::metrics::Shard;
use tollgate_core::plugin::Outcome;
use tollgate_core::{Body, BodyError, Context, Kind, Reject, Request};

use super::answer_body::AnswerBody;
use super::connect::{self, ConnectError};
use super::exchange::{self, Asked, Failure, Line};
use super::rewrite::{self, Outside};
use super::tunnel::ServiceEnd;
use super::upload::Upload;
use super::{HashOn, Service, Target, balance};
use crate::buffer::Buffer;
use crate::caller::Caller;
use crate::http1::answer::Head;
use crate::http1::framing::Framing;
use crate::timer::{Wait, coarse_now, exact_now};
use crate::worker::{View, Worker};

/// One request's business with a service.
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) view: &'a Rc<View>,
    pub(crate) client: &'a Rc<dyn Caller>,
    pub(crate) service_index: usize,
    pub(crate) service: &'a Service,
    pub(crate) preserve_host: bool,
    /// What was removed from the front of the client's path; `None` if the path was rewritten beyond that.
    pub(crate) stripped: Option<String>,
}

/// Why a try failed.
enum Failed {
    Connect(ConnectError),
    Exchange(Failure),
}

/// A request that a target has in its hands; counts it, however it ends.
pub(crate) struct Lease {
    view: Rc<View>,
    service: usize,
    target: usize,
    worker: usize,
    started: Instant,
    status: Option<StatusCode>,
}

impl Lease {
    pub(super) fn new(exchange: &Exchange<'_>, target: usize) -> Self {
        let lease = Self {
            view: exchange.view.clone(),
            service: exchange.service_index,
            target,
            worker: exchange.worker.index,
            started: coarse_now(),
            status: None,
        };
        lease.with(|service, target, shard| {
            shard.in_flight.add(1);
            if service.tracks_load {
                target.load.begin();
            }
        });
        lease
    }

    fn with(&self, act: impl FnOnce(&Service, &Target, &Shard)) {
        let service = self.view.snapshot.services.get(self.service);
        let target = service.and_then(|service| service.targets.get(self.target));
        if let (Some(service), Some(target)) = (service, target)
            && let Some(shard) = target.series.shard(self.worker)
        {
            act(service, target, shard);
        }
    }

    /// The head of the answer came.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.with(|service, target, _| {
            if service.tracks_load {
                let now = exact_now();
                target.load.observe(now.saturating_duration_since(self.started), now);
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let class = self.status.map_or(0, |status| usize::from(status.as_u16() / 100));
        self.with(|service, target, shard| {
            shard.in_flight.sub(1);
            if let Some(counter) = shard.answers.get(class) {
                counter.add(1);
            }
            // How long a switched connection lasts says nothing of how fast the target answers.
            if self.status != Some(StatusCode::SWITCHING_PROTOCOLS) {
                let elapsed = coarse_now().saturating_duration_since(self.started);
                shard.latency.record(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
            }
            if service.tracks_load {
                target.load.end();
            }
        });
    }
}

/// What a try has in its hands: kept out of the futures' results, which would copy it at every return.
#[derive(Default)]
struct Attempt {
    upload: Option<Upload>,
    line: Option<Line>,
    lease: Option<Lease>,
}

impl Exchange<'_> {
    /// Gets an answer for `request` from one of the service's targets.
    pub(crate) async fn send(&self, cx: &mut Context<'_>, request: &mut Request) -> Outcome {
        self.client.deadline().start(Wait::Total, self.total(cx, request));
        let key = self.service.hash_on.as_ref().and_then(|on| hash_key(on, cx, request));
        if self.service.http2 {
            return Box::pin(self.send_http2(cx, request, key)).await;
        }
        let asked = Asked::of(request);
        let mut tried: SmallVec<[usize; 2]> = SmallVec::new();
        let mut attempt = Attempt::default();
        let mut last: Option<Failed> = None;
        loop {
            let Some((index, target)) = self.service.pick(key, &tried) else {
                return Err(last.map_or_else(no_target, reject));
            };
            if !self.preserve_host || request.authority().is_empty() {
                request.set_host_field(&target.authority);
            }
            match &mut attempt.upload {
                None => attempt.upload = Some(Upload::new(request, &self.service.base_path)),
                Some(upload) => {
                    self.worker.count(|count| count.retries.add(1));
                    upload.restart(request, &self.service.base_path);
                }
            }
            cx.upstream.tries += 1;
            if self.view.snapshot.access_log.is_some() {
                cx.upstream.target = Some(target.label.clone());
            }
            match self.try_target(index, target, &mut attempt, &asked).await {
                Ok(head) => return self.answer(cx, request, head, &mut attempt),
                // Nothing was sent: any request may go to another target.
                Err(failed @ Failed::Connect(_)) if cx.upstream.tries <= self.service.retries => {
                    tried.push(index);
                    last = Some(failed);
                }
                Err(failed) => return Err(reject(failed)),
            }
        }
    }

    /// How long all of the exchange may take: the service's time, or that of a client of gRPC if it is shorter.
    fn total(&self, cx: &Context<'_>, request: &Request) -> Duration {
        let total = self.service.timeouts.total;
        if !cx.grpc {
            return total;
        }
        match request.headers.get("grpc-timeout").and_then(grpc::timeout) {
            // Zero would be none.
            Some(asked) if total.is_zero() || asked < total => asked.max(Duration::from_millis(1)),
            _ => total,
        }
    }

    /// Sends over a pooled connection or a new one. A pooled one that turns out to be closed is replaced once, if not
    /// a byte came back and the request is idempotent or not a byte of it went out (RFC 9112 §9.3.1, RFC 9110 §9.2.2).
    async fn try_target(
        &self,
        index: usize,
        target: &Target,
        attempt: &mut Attempt,
        asked: &Asked,
    ) -> Result<Head, Failed> {
        let timeouts = &self.service.timeouts;
        let idempotent = is_idempotent(&asked.method);
        let mut fresh = false;
        loop {
            attempt.lease = Some(Lease::new(self, index));
            let once = !(idempotent && attempt.upload.as_ref().is_some_and(Upload::can_restart));
            let line = self.line(index, target, fresh, once).await.map_err(Failed::Connect)?;
            let (line, Some(upload)) = (attempt.line.insert(line), &mut attempt.upload) else {
                return Err(Failed::Exchange(Failure::Silent(None)));
            };
            match exchange::run(line, upload, asked, &**self.client, timeouts).await {
                Ok(head) => {
                    if let Some(lease) = &mut attempt.lease {
                        lease.answered(head.response.status);
                    }
                    return Ok(head);
                }
                Err(Failure::Silent(_))
                    if line.reused
                        && self.service.retries > 0
                        && upload.can_restart()
                        && (idempotent || upload.is_untouched()) =>
                {
                    self.worker.count(|count| count.retries.add(1));
                    upload.rewind();
                    fresh = true;
                }
                Err(failure) => return Err(Failed::Exchange(failure)),
            }
        }
    }

    async fn line(&self, index: usize, target: &Target, fresh: bool, verify: bool) -> Result<Line, ConnectError> {
        let pool = self.view.pools.get(self.service.first_pool + index);
        let Some(pool) = pool.cloned() else {
            return Err(ConnectError::Failed(std::io::Error::other("the target has no pool")));
        };
        if !fresh && let Some(stream) = pool.take(verify) {
            self.worker.count(|count| count.upstream_reuses.add(1));
            return Ok(Line { stream, buffer: Buffer::default(), pool, reused: true });
        }
        // Boxed: it is rare, and what it holds would make every request's future larger.
        let opening = target.opening(self.client.peer().info.peer, || self.client.local_address());
        let limit = self.service.timeouts.connect;
        let connecting =
            connect::connect(&target.address, &opening, target.tls.as_ref(), self.client.deadline(), limit);
        let stream = Box::pin(connecting).await?;
        self.worker.count(|count| count.upstream_connects.add(1));
        Ok(Line { stream, buffer: Buffer::default(), pool, reused: false })
    }

    /// Makes the answer that the chain sees of a head and what follows it.
    fn answer(&self, cx: &Context<'_>, request: &Request, head: Head, attempt: &mut Attempt) -> Outcome {
        let (Some(upload), Some(line), Some(lease)) =
            (attempt.upload.take(), attempt.line.take(), attempt.lease.take())
        else {
            return Err(no_target());
        };
        let Head { mut response, framing, keep_alive, .. } = head;
        rewrite::answer(
            &mut response.headers,
            &Outside {
                scheme: cx.scheme,
                authority: request.authority(),
                service: self.service,
                stripped: self.stripped.as_deref(),
            },
        );
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            response.tunnel = Some(Box::new(ServiceEnd::new(line, self.service.timeouts.tunnel, lease)));
            return Ok(response);
        }
        let sent = upload.is_done();
        if matches!(framing, Framing::None | Framing::Length(0)) {
            if sent && keep_alive {
                line.release();
            }
            return Ok(response);
        }
        let rest = (!sent).then_some(upload);
        let idle = self.service.timeouts.idle;
        let body = AnswerBody::new(self.client.clone(), line, framing, keep_alive, rest, idle, lease);
        response.body = Body::Stream(Box::new(body));
        Ok(response)
    }
}

/// Methods that may be sent twice (RFC 9110 §9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
}

fn hash_key(on: &HashOn, cx: &Context<'_>, request: &Request) -> Option<u64> {
    match on {
        HashOn::Ip => Some(balance::hash_ip(cx.client_ip)),
        HashOn::Path => Some(balance::hash(request.path().as_bytes())),
        HashOn::Header(name) => request.headers.get(name).map(balance::hash),
        HashOn::Cookie(name) => cookie(request, name).map(balance::hash),
        HashOn::Query(name) => {
            let pairs = request.query()?.split('&');
            let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| key == name);
            value.map(|(_, value)| balance::hash(value.as_bytes()))
        }
    }
}

fn cookie<'r>(request: &'r Request, name: &str) -> Option<&'r [u8]> {
    request
        .headers
        .known(tollgate_core::Known::Cookie)
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// What it comes to that no target is left.
pub(crate) fn no_target() -> Reject {
    Reject::new(Kind::Unavailable, "The service has no target that can take the request.")
}

fn reject(failed: Failed) -> Reject {
    match failed {
        Failed::Connect(error) => reject_connect(error),
        Failed::Exchange(failure) => reject_exchange(failure),
    }
}

/// What it comes to that no connection could be made.
pub(crate) fn reject_connect(error: ConnectError) -> Reject {
    let (kind, detail) = match error {
        ConnectError::Timeout(_) => (Kind::ConnectTimeout, "The service did not accept a connection in time."),
        ConnectError::Failed(_) => (Kind::ConnectFailed, "The service cannot be reached."),
    };
    Reject::new(kind, detail).because(error)
}

/// What it comes to that the body of the request failed.
pub(super) fn reject_body(error: BodyError) -> Reject {
    let (kind, detail) = match error {
        BodyError::TimedOut => (Kind::RequestTimeout, "The body of the request took too long."),
        BodyError::TooLarge => (Kind::BodyTooLarge, "The body of the request is too long."),
        BodyError::Malformed => (Kind::BadRequest, "The body of the request is malformed."),
        BodyError::Truncated => (Kind::BadRequest, "The body of the request ended too early."),
    };
    Reject::new(kind, detail).because(error)
}

fn reject_exchange(failure: Failure) -> Reject {
    match failure {
        Failure::Client(error) => reject_body(error),
        Failure::ClientGone => Reject::new(Kind::ClientGone, "The client is gone."),
        Failure::Silent(source) => {
            let reject = Reject::new(Kind::ServiceClosed, "The service closed the connection without an answer.");
            match source {
                Some(error) => reject.because(error),
                None => reject,
            }
        }
        Failure::Truncated => Reject::new(Kind::ServiceClosed, "The service closed the connection within its answer."),
        Failure::Answer(error) => Reject::new(Kind::BadAnswer, "The service's answer is malformed.").because(error),
        Failure::Interim => Reject::new(Kind::BadAnswer, "The service sends interim answers without end."),
        Failure::Timeout(limit) => Reject::new(Kind::AnswerTimeout, "The service did not answer in time.")
            .because(format!("nothing came for {limit:?}")),
    }
}
