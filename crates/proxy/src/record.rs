//! What is written down about each request: counts, latency, and a line in the access log.

use std::rc::Rc;
use std::time::Instant;

use http::{Method, StatusCode, Version};
use tollgate_core::metrics::Shard;
use tollgate_core::{Context, Reject, Request};

use crate::caller::Peer;
use crate::log::{self, Line};
use crate::snapshot::{Route, Snapshot};
use crate::worker::Worker;

/// What was sent to a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub status: StatusCode,
    /// Bytes on the wire, head included.
    pub bytes: u64,
    /// The client got all of it.
    pub complete: bool,
    /// The connection can serve another request.
    pub keep_alive: bool,
}

/// What the log needs of a request after the chain took it.
struct LogNotes {
    method: Method,
    version: Version,
    host: String,
    path: String,
    user_agent: String,
}

/// A request that runs. However it ends, it is counted.
pub(crate) struct Record<'a> {
    worker: &'a Worker,
    shard: Option<&'a Shard>,
    started: Instant,
    notes: Option<Box<LogNotes>>,
    done: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn start(
        worker: &'a Worker,
        snapshot: &Snapshot,
        route: &'a Route,
        request: &Request,
        started: Instant,
    ) -> Self {
        let shard = route.series.shard(worker.index);
        if let Some(shard) = shard {
            shard.in_flight.add(1);
        }
        let notes = is_logged(snapshot).then(|| {
            Box::new(LogNotes {
                method: request.method.clone(),
                version: request.version,
                host: request.host().to_owned(),
                path: request.path().to_owned(),
                user_agent: request.headers.get_str("user-agent").unwrap_or_default().to_owned(),
            })
        });
        Self { worker, shard, started, notes, done: false }
    }

    pub(crate) fn finish(mut self, cx: &Context<'_>, sent: &Sent, ended: Instant) {
        let elapsed = ended.saturating_duration_since(self.started);
        self.done = true;
        if let Some(shard) = self.shard {
            shard.in_flight.sub(1);
            count_answer(shard, sent);
            // A switched connection lasts as long as it pleases.
            if sent.status != StatusCode::SWITCHING_PROTOCOLS {
                shard.latency.record(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
            }
        }
        if let Some(reject) = &cx.rejected {
            count_reject(self.worker, reject);
        }
        let Some(notes) = self.notes.take() else { return };
        let rejected = cx.rejected.as_deref();
        let line = Line {
            time: log::timestamp(elapsed),
            client: cx.client_ip.to_string(),
            request_id: &cx.request_id,
            listener: &cx.connection.listener,
            method: notes.method.as_str(),
            scheme: cx.scheme.as_str(),
            host: &notes.host,
            path: &notes.path,
            protocol: protocol(notes.version),
            status: sent.status.as_u16(),
            complete: sent.complete,
            bytes_sent: sent.bytes,
            duration_ms: elapsed.as_secs_f64() * 1000.0,
            route: &cx.route.name,
            service: cx.route.service.as_deref(),
            target: cx.upstream.target.as_deref(),
            tries: cx.upstream.tries,
            plugin: cx.answered_by,
            reject: rejected.map(|reject| reject.kind.slug()),
            side: rejected.map(|reject| reject.kind.side()),
            detail: rejected.map(|reject| &*reject.detail),
            cause: rejected.map(Reject::causes).unwrap_or_default(),
            user_agent: &notes.user_agent,
        };
        // The log may have moved while the request ran.
        write(self.worker, &self.worker.view().snapshot, log::line(&line));
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let (Some(shard), false) = (self.shard, self.done) {
            shard.in_flight.sub(1);
        }
    }
}

/// Records a request that was refused before it had a route.
pub(crate) fn refused(
    worker: &Rc<Worker>,
    peer: &Peer,
    reject: &Reject,
    status: StatusCode,
    sent: Sent,
    started: Instant,
) {
    let view = worker.view();
    let snapshot = &view.snapshot;
    count_reject(worker, reject);
    if let Some(shard) = snapshot.unrouted.series.shard(worker.index) {
        count_answer(shard, &sent);
    }
    if !is_logged(snapshot) {
        return;
    }
    let elapsed = started.elapsed();
    let line = Line {
        time: log::timestamp(elapsed),
        client: peer.info.peer_ip().to_string(),
        request_id: "",
        listener: &peer.info.listener,
        method: "",
        scheme: peer.info.scheme.as_str(),
        host: "",
        path: "",
        protocol: "HTTP/1.1",
        status: status.as_u16(),
        complete: sent.complete,
        bytes_sent: sent.bytes,
        duration_ms: elapsed.as_secs_f64() * 1000.0,
        route: "",
        service: None,
        target: None,
        tries: 0,
        plugin: None,
        reject: Some(reject.kind.slug()),
        side: Some(reject.kind.side()),
        detail: Some(&reject.detail),
        cause: reject.causes(),
        user_agent: "",
    };
    write(worker, snapshot, log::line(&line));
}

/// A version's name.
const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// True if what is at hand belongs to the share that is logged.
pub(crate) fn is_logged(snapshot: &Snapshot) -> bool {
    snapshot.access_log.as_ref().is_some_and(|log| log.sample >= 1.0 || fastrand::f64() < log.sample)
}

fn count_answer(shard: &Shard, sent: &Sent) {
    let class = if sent.bytes == 0 { 0 } else { usize::from(sent.status.as_u16() / 100) };
    if let Some(counter) = shard.answers.get(class) {
        counter.add(1);
    }
}

/// Counts what was turned away, by its kind.
pub(crate) fn count_reject(worker: &Worker, reject: &Reject) {
    worker.count(|count| {
        if let Some(counter) = count.rejects.get(reject.kind as usize) {
            counter.add(1);
        }
    });
}

/// Gives a line to the log, if there is one.
pub(crate) fn write(worker: &Worker, snapshot: &Snapshot, line: Vec<u8>) {
    if let Some(log) = &snapshot.access_log
        && !log.sink.try_send(line)
    {
        worker.count(|count| count.log_drops.add(1));
    }
}
