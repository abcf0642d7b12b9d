//! The other half of a connection at layer 4.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tollgate_core::Reject;
use tollgate_core::metrics::Shard;

use super::Client;
use super::record::Record;
use crate::service::connect;
use crate::service::send::{no_target, reject_connect};
use crate::service::{HashOn, Service, Target, balance};
use crate::stream::Stream;
use crate::timer::exact_now;
use crate::worker::Worker;

/// A connection to a target.
pub(super) struct Line {
    pub(super) stream: Stream,
    /// How long nothing may move on it.
    pub(super) idle: Duration,
    pub(super) held: Held,
}

/// Connects to one of the service's targets. Nothing was sent yet, so where one cannot be reached another may be tried.
pub(super) async fn connect(
    worker: &Rc<Worker>,
    service: &Service,
    client: &Client,
    record: &mut Record,
) -> Result<Line, Reject> {
    let key = match (&service.hash_on, client.peer) {
        (Some(HashOn::Ip), Some(peer)) => Some(balance::hash_ip(peer.ip().to_canonical())),
        _ => None,
    };
    let mut tried: SmallVec<[usize; 2]> = SmallVec::new();
    loop {
        let (index, target) = service.pick(key, &tried).ok_or_else(no_target)?;
        if record.tries > 0 {
            worker.count(|count| count.retries.add(1));
        }
        record.tries += 1;
        record.target = Some(target.label.clone());
        let held = Held::new(worker, service, target);
        let opening = target.opening(client.peer, || client.stream.local_address());
        let started = exact_now();
        match connect::connect(
            &target.address,
            &opening,
            target.tls.as_ref(),
            &client.deadline,
            service.timeouts.connect,
        )
        .await
        {
            Ok(stream) => {
                worker.count(|count| count.upstream_connects.add(1));
                let now = exact_now();
                held.connected(now.saturating_duration_since(started), now);
                return Ok(Line { stream, idle: service.timeouts.tunnel, held });
            }
            Err(error) if record.tries > service.retries => return Err(reject_connect(error)),
            Err(_) => tried.push(index),
        }
    }
}

/// A connection that a target has, or is asked to take; counts it, however it ends.
pub(super) struct Held {
    target: Arc<Target>,
    worker: usize,
    tracks_load: bool,
    connected: Cell<bool>,
    /// What was counted of the bytes to the target and from it.
    counted: Cell<(u64, u64)>,
}

impl Held {
    fn new(worker: &Worker, service: &Service, target: &Arc<Target>) -> Self {
        let held = Self {
            target: target.clone(),
            worker: worker.index,
            tracks_load: service.tracks_load,
            connected: Cell::new(false),
            counted: Cell::default(),
        };
        held.with(|shard| shard.in_flight.add(1));
        if held.tracks_load {
            target.load.begin();
        }
        held
    }

    fn with(&self, act: impl FnOnce(&Shard)) {
        if let Some(shard) = self.target.series.shard(self.worker) {
            act(shard);
        }
    }

    /// The target took the connection, after so long: at layer 4 that is all there is to tell how fast it is.
    fn connected(&self, latency: Duration, now: std::time::Instant) {
        self.connected.set(true);
        self.with(|shard| shard.layer4.connections.add(1));
        if self.tracks_load {
            self.target.load.observe(latency, now);
        }
    }

    /// So many bytes went to the target and came from it by now.
    pub(super) fn count(&self, moved: (u64, u64)) {
        let (sent, received) = self.counted.replace(moved);
        if moved != (sent, received) {
            self.with(|shard| {
                shard.layer4.sent.add(moved.0 - sent);
                shard.layer4.received.add(moved.1 - received);
            });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.with(|shard| {
            shard.in_flight.sub(1);
            // As for a request that got no answer.
            if let (Some(none), false) = (shard.answers.first(), self.connected.get()) {
                none.add(1);
            }
        });
        if self.tracks_load {
            self.target.load.end();
        }
    }
}
