//! What is written down about a connection at layer 4: the reason for which it was turned away, and a line in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tollgate_core::{Reject, Side};

use super::client_hello::ClientHello;
use crate::log;
use crate::record;
use crate::service::tunnel::Ending;
use crate::snapshot::{Listener, Protocol};
use crate::timer::exact_now;
use crate::worker::Worker;

/// A connection that runs, as far as it is known.
pub(super) struct Record {
    started: Instant,
    listener: Arc<str>,
    protocol: Protocol,
    peer: Option<SocketAddr>,
    pub(super) hello: ClientHello,
    pub(super) route: Option<String>,
    pub(super) service: Option<String>,
    pub(super) target: Option<Arc<str>>,
    pub(super) tries: u32,
    /// Bytes to the service and to the client.
    pub(super) moved: (u64, u64),
}

/// A line of the access log.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    client: String,
    listener: &'a str,
    protocol: &'a str,
    /// What a TLS client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    alpn: &'a [String],
    /// False if one side did not get all that the other sent, for all that is known.
    complete: bool,
    bytes_received: u64,
    bytes_sent: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    cause: String,
}

impl Record {
    pub(super) fn start(listener: &Listener, peer: Option<SocketAddr>) -> Self {
        Self {
            started: exact_now(),
            listener: listener.name.clone(),
            protocol: listener.protocol,
            peer,
            hello: ClientHello::default(),
            route: None,
            service: None,
            target: None,
            tries: 0,
            moved: (0, 0),
        }
    }

    pub(super) fn finish(self, worker: &Worker, outcome: &Result<Ending, Reject>) {
        let rejected = outcome.as_ref().err();
        if let Some(reject) = rejected {
            record::count_reject(worker, reject);
        }
        let snapshot = &worker.view().snapshot;
        if !record::is_logged(snapshot) {
            return;
        }
        let elapsed = exact_now().saturating_duration_since(self.started);
        let ip = self.peer.map_or(std::net::IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
        let line = Line {
            time: log::timestamp(elapsed),
            client: ip.to_string(),
            listener: &self.listener,
            protocol: self.protocol.as_str(),
            host: self.hello.host.as_deref(),
            alpn: &self.hello.protocols,
            complete: outcome.as_ref().is_ok_and(|ending| *ending == Ending::Closed),
            bytes_received: self.moved.0,
            bytes_sent: self.moved.1,
            duration_ms: elapsed.as_secs_f64() * 1000.0,
            route: self.route.as_deref(),
            service: self.service.as_deref(),
            target: self.target.as_deref(),
            tries: (self.tries > 0).then_some(self.tries),
            reject: rejected.map(|reject| reject.kind.slug()),
            side: rejected.map(|reject| reject.kind.side()),
            detail: rejected.map(|reject| &*reject.detail),
            cause: rejected.map(Reject::causes).unwrap_or_default(),
        };
        record::write(worker, snapshot, log::line(&line));
    }
}
