//! Counters and latency histograms that cost a few plain stores a request.
//!
//! Every worker writes its own shard, so an increment is a load and a store, with no locked instruction and no cache
//! line that two cores fight for; whoever reads adds the shards up. Series are resolved when the config is compiled
//! and live on over reloads under their names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::reject::Kind;

/// A number that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the shard's own worker may call it: two writers would lose counts.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` away, for gauges; the same rule holds.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bits of a value that choose the bucket within its power of two: buckets are at most 1/32 wide, so that a quantile is
/// off by at most 1.6%.
const SUB_BITS: u32 = 5;
const SUBS: usize = 1 << SUB_BITS;
/// Values of 2^32 µs (71 minutes) and more count as that.
const MAX_BITS: u32 = 32;
const BUCKETS: usize = SUBS * (MAX_BITS - SUB_BITS + 1) as usize;

/// A histogram of microseconds, log-linear as HdrHistogram lays it out: 32 buckets for each power of two.
pub struct Histogram {
    buckets: Box<[AtomicU32; BUCKETS]>,
    sum: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Box::new([const { AtomicU32::new(0) }; BUCKETS]), sum: Counter::default() }
    }
}

impl Histogram {
    /// Counts one value. Only the shard's own worker may call it.
    #[inline]
    pub fn record(&self, micros: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
        }
        self.sum.add(micros);
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the value is below 2^32 by the line before")]
fn bucket_of(micros: u64) -> usize {
    let value = micros.min((1 << MAX_BITS) - 1);
    if value < SUBS as u64 {
        return value as usize;
    }
    let exponent = value.ilog2();
    let sub = (value >> (exponent - SUB_BITS)) as usize - SUBS;
    (exponent - SUB_BITS + 1) as usize * SUBS + sub
}

/// The middle of a bucket.
fn value_of(bucket: usize) -> u64 {
    if bucket < SUBS {
        return bucket as u64;
    }
    let shift = bucket / SUBS - 1;
    let low = ((SUBS + bucket % SUBS) as u64) << shift;
    low + ((1 << shift) >> 1)
}

/// Histograms added up.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    buckets: Vec<u64>,
    /// How many values were counted.
    pub count: u64,
    /// Their sum in microseconds.
    pub sum: u64,
}

impl Latencies {
    /// Adds a shard's histogram.
    pub fn add(&mut self, shard: &Histogram) {
        self.buckets.resize(BUCKETS, 0);
        for (total, bucket) in self.buckets.iter_mut().zip(shard.buckets.iter()) {
            let count = u64::from(bucket.load(Relaxed));
            *total += count;
            self.count += count;
        }
        self.sum += shard.sum.get();
    }

    /// Adds what was added up elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.resize(BUCKETS, 0);
        for (total, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *total += count;
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The value in microseconds below which `share` (0 to 1) of the values lie; 0 without values.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts are far below 2^52 and the share is not negative"
    )]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return value_of(bucket);
            }
        }
        0
    }

    /// How many values are at most `micros`, to the width of a bucket.
    #[must_use]
    pub fn at_most(&self, micros: u64) -> u64 {
        self.buckets.iter().take(bucket_of(micros) + 1).sum()
    }
}

/// What is counted for each route, and for each target.
#[derive(Default)]
pub struct Shard {
    /// Answers by the first digit of their status; 0: none was sent (the client left).
    pub answers: [Counter; 6],
    /// Exchanges running now.
    pub in_flight: Counter,
    /// Time from the head of the request to the end of the answer.
    pub latency: Histogram,
    /// What a target does at layer 4.
    pub layer4: Layer4Shard,
}

/// Connections whose bytes are passed on to a target as they are.
#[derive(Default)]
pub struct Layer4Shard {
    /// Connections that the target took.
    pub connections: Counter,
    /// Bytes of clients that the target took.
    pub sent: Counter,
    /// Bytes of the target that clients took.
    pub received: Counter,
}

/// A route's or target's counts, one shard a worker, made at first use.
pub struct Series {
    shards: Box<[OnceLock<Box<Shard>>]>,
}

impl Series {
    /// A series for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { shards: (0..workers.max(1)).map(|_| OnceLock::new()).collect() }
    }

    /// The worker's own shard.
    #[inline]
    #[must_use]
    pub fn shard(&self, worker: usize) -> Option<&Shard> {
        self.shards.get(worker).map(|shard| &**shard.get_or_init(Box::default))
    }

    /// The shards added up.
    #[must_use]
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            for (sum, counter) in total.answers.iter_mut().zip(&shard.answers) {
                *sum += counter.get();
            }
            total.in_flight = total.in_flight.wrapping_add(shard.in_flight.get());
            total.latency.add(&shard.latency);
            total.layer4.connections += shard.layer4.connections.get();
            total.layer4.sent += shard.layer4.sent.get();
            total.layer4.received += shard.layer4.received.get();
        }
        total
    }
}

/// A [`Series`] at one moment.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// See [`Shard::answers`].
    pub answers: [u64; 6],
    /// See [`Shard::in_flight`].
    pub in_flight: u64,
    /// See [`Shard::latency`].
    pub latency: Latencies,
    /// See [`Shard::layer4`].
    pub layer4: Layer4,
}

/// A [`Layer4Shard`]'s sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Layer4 {
    /// See [`Layer4Shard::connections`].
    pub connections: u64,
    /// See [`Layer4Shard::sent`].
    pub sent: u64,
    /// See [`Layer4Shard::received`].
    pub received: u64,
}

impl Total {
    /// All exchanges.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answers.iter().sum()
    }
}

/// What each worker counts whatever the route.
#[derive(Default)]
pub struct WorkerShard {
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections open.
    pub connections_open: Counter,
    /// Client connections closed for their PROXY header.
    pub proxy_headers_refused: Counter,
    /// Connections made to targets.
    pub upstream_connects: Counter,
    /// Requests that went over a pooled connection.
    pub upstream_reuses: Counter,
    /// Requests tried again, whatever the reason.
    pub retries: Counter,
    /// Connections switched to another protocol and open.
    pub tunnels_open: Counter,
    /// TLS handshakes with clients that came to their end.
    pub handshakes: Counter,
    /// TLS handshakes with clients that failed or took too long.
    pub handshakes_failed: Counter,
    /// HTTP/2 connections cut off because they flooded us with frames that cost them nothing.
    pub h2_floods: Counter,
    /// Requests the gateway turned away, by [`Kind`].
    pub rejects: [Counter; Kind::ALL.len()],
    /// Tasks that panicked. Each is a bug.
    pub panics: Counter,
    /// Access-log lines dropped because the writer could not keep up.
    pub log_drops: Counter,
}

/// All counts of the process.
pub struct Metrics {
    workers: Box<[WorkerShard]>,
    routes: RwLock<BTreeMap<String, Arc<Series>>>,
    targets: RwLock<BTreeMap<(String, String), Arc<Series>>>,
    log_lost: AtomicU64,
}

impl Metrics {
    /// Counts for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers.max(1)).map(|_| WorkerShard::default()).collect(),
            routes: RwLock::default(),
            targets: RwLock::default(),
            log_lost: AtomicU64::new(0),
        }
    }

    /// Counts access-log lines that were taken but could not be written. Any thread may call it.
    pub fn lose_log_lines(&self, lines: u64) {
        self.log_lost.fetch_add(lines, Relaxed);
    }

    /// How many access-log lines could not be written.
    #[must_use]
    pub fn lost_log_lines(&self) -> u64 {
        self.log_lost.load(Relaxed)
    }

    /// How many workers count.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// A worker's own shard.
    #[must_use]
    pub fn worker(&self, worker: usize) -> Option<&WorkerShard> {
        self.workers.get(worker)
    }

    /// The sum of one of the workers' counters.
    pub fn sum(&self, counter: impl Fn(&WorkerShard) -> &Counter) -> u64 {
        self.workers.iter().fold(0, |sum, shard| sum.wrapping_add(counter(shard).get()))
    }

    /// The series of a route, made when it is new.
    #[must_use]
    pub fn route(&self, name: &str) -> Arc<Series> {
        if let Some(series) = self.routes.read().get(name) {
            return series.clone();
        }
        let fresh = || Arc::new(Series::new(self.workers.len()));
        self.routes.write().entry(name.to_owned()).or_insert_with(fresh).clone()
    }

    /// The series of a service's target, made when it is new.
    #[must_use]
    pub fn target(&self, service: &str, address: &str) -> Arc<Series> {
        let fresh = || Arc::new(Series::new(self.workers.len()));
        self.targets.write().entry((service.to_owned(), address.to_owned())).or_insert_with(fresh).clone()
    }

    /// Forgets the series of routes and targets that the config no longer has.
    pub fn retain(&self, route: impl Fn(&str) -> bool, target: impl Fn(&str, &str) -> bool) {
        self.routes.write().retain(|name, _| route(name));
        self.targets.write().retain(|(service, address), _| target(service, address));
    }

    /// All routes' series by name.
    #[must_use]
    pub fn routes(&self) -> Vec<(String, Arc<Series>)> {
        self.routes.read().iter().map(|(name, series)| (name.clone(), series.clone())).collect()
    }

    /// All targets' series by service and address.
    #[must_use]
    pub fn targets(&self) -> Vec<((String, String), Arc<Series>)> {
        self.targets.read().iter().map(|(key, series)| (key.clone(), series.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_at_most_a_32nd_away() {
        for value in (0..70_000).chain([1 << 20, (1 << 31) + 12345, (1 << 32) - 1]) {
            let middle = value_of(bucket_of(value));
            assert!(middle.abs_diff(value) * 32 <= value.max(32), "{value} became {middle}");
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let (one, two) = (Histogram::default(), Histogram::default());
        for value in 1..=500 {
            one.record(value);
            two.record(value + 500);
        }
        let mut all = Latencies::default();
        all.add(&one);
        all.add(&two);
        for (share, expected) in [(0.5, 500), (0.9, 900), (0.99, 990), (0.999, 999)] {
            let found = all.quantile(share);
            assert!(found.abs_diff(expected) * 50 < expected, "p{share}: {found}");
        }
        assert_eq!((all.count, all.sum), (1000, 500_500));
        assert_eq!(Latencies::default().quantile(0.5), 0);
    }

    #[test]
    fn series_outlive_a_reload_by_name() {
        let metrics = Metrics::new(2);
        let series = metrics.route("a");
        series.shard(1).unwrap().answers[2].add(3);
        assert_eq!(metrics.route("a").total().requests(), 3);
        metrics.retain(|name| name == "b", |_, _| true);
        assert_eq!(metrics.route("a").total().requests(), 0);
    }
}
