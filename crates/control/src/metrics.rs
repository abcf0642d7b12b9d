//! The counts of the gateway in the text formats that Prometheus reads. `docs/metrics.md` describes every one.
//!
//! The lists below are the whole of it: a metric is one line. Samples are read in one pass over the series, so that
//! the metrics of one route agree with each other, and are written as they are encoded.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use tollgate_core::control::{Control, ReloadState};
use tollgate_core::metrics::{Counter, Layer4, Metrics, Series, Total, WorkerShard};
use tollgate_core::reject::Kind;

/// The upper bounds of the histograms' buckets in microseconds; one without a bound follows.
const BOUNDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// The label of answers by class: the first digit of the status, or none when no answer was sent.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Which text format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, 0.0.4: what people and old tools read.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format to answer with, from the request's `Accept`.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let openmetrics = |range: &str| range.trim().to_ascii_lowercase().starts_with("application/openmetrics-text");
        if accept.split(',').any(openmetrics) { Self::OpenMetrics } else { Self::Text }
    }

    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all metrics.
///
/// # Errors
/// When `out` does not take them.
pub fn write(control: &dyn Control, format: Format, out: &mut impl fmt::Write) -> fmt::Result {
    let mut registry = Registry::with_prefix("tollgate");
    registry.register_collector(Box::new(Scrape::read(control, format)));
    prometheus_client::encoding::text::encode_registry(out, &registry)?;
    match format {
        Format::OpenMetrics => prometheus_client::encoding::text::encode_eof(out),
        Format::Text => Ok(()),
    }
}

/// A sum over the workers: name without prefix and suffix, help, and which one.
type Sum = (&'static str, &'static str, fn(&WorkerShard) -> &Counter);

/// The counters of the process.
const COUNTERS: [Sum; 10] = [
    ("connections_accepted", "Client connections accepted", |w| &w.connections_accepted),
    ("proxy_headers_refused", "Client connections closed for their PROXY header", |w| &w.proxy_headers_refused),
    ("tls_handshakes", "TLS handshakes with clients", |w| &w.handshakes),
    ("tls_handshakes_failed", "TLS handshakes with clients that failed or took too long", |w| &w.handshakes_failed),
    ("h2_floods", "HTTP/2 connections cut off because they flooded the gateway with cheap frames", |w| &w.h2_floods),
    ("upstream_connects", "Connections made to targets", |w| &w.upstream_connects),
    ("upstream_reuses", "Requests sent over a pooled connection to a target", |w| &w.upstream_reuses),
    ("retries", "Requests sent to a service again", |w| &w.retries),
    ("panics", "Tasks that panicked; each is a bug", |w| &w.panics),
    ("access_log_drops", "Access-log lines dropped because the writer could not keep up", |w| &w.log_drops),
];

/// The gauges of the process.
const GAUGES: [Sum; 2] = [
    ("connections_open", "Client connections open", |w| &w.connections_open),
    ("tunnels_open", "Connections switched to another protocol and open", |w| &w.tunnels_open),
];

/// The names of the three metrics that every route and every target has, and their helps.
struct Names {
    requests: (&'static str, &'static str),
    duration: (&'static str, &'static str),
    in_flight: (&'static str, &'static str),
}

const ROUTES: Names = Names {
    requests: ("requests", "Requests by route and by class of the answer's status"),
    duration: ("request_duration", "Time from the head of a request to the end of its answer, by route"),
    in_flight: ("requests_in_flight", "Requests running now, by route"),
};

const TARGETS: Names = Names {
    requests: ("target_requests", "Requests sent to a target, by class of the answer's status"),
    duration: ("target_duration", "Time from sending a request to a target to the end of its answer"),
    in_flight: ("target_in_flight", "Requests a target is working on now"),
};

/// What is counted of a target at layer 4, if it has been given a connection.
/// Name, help and value of a count of a target's connections.
type OfConnections = (&'static str, &'static str, fn(&Layer4) -> u64);

const LAYER4: [OfConnections; 3] = [
    ("target_connections", "Connections a target took at layer 4", |layer4| layer4.connections),
    ("target_sent_bytes", "Bytes sent to a target at layer 4", |layer4| layer4.sent),
    ("target_received_bytes", "Bytes received from a target at layer 4", |layer4| layer4.received),
];

/// A series as it is printed: much smaller than the histogram it comes from.
#[derive(Debug)]
struct Sample<L> {
    labels: L,
    answers: [u64; 6],
    in_flight: u64,
    layer4: Layer4,
    micros: u64,
    /// One count for each of [`BOUNDS`], and one for what lies above; not cumulative. None without requests.
    buckets: Option<[u64; BOUNDS.len() + 1]>,
}

impl<L> Sample<L> {
    fn read(labels: L, series: &Series) -> Self {
        let total = series.total();
        let buckets = (total.latency.count > 0).then(|| {
            let (mut buckets, mut below) = ([0; BOUNDS.len() + 1], 0);
            for (bucket, bound) in buckets.iter_mut().zip(BOUNDS) {
                let at_most = total.latency.at_most(bound);
                *bucket = at_most - below;
                below = at_most;
            }
            if let Some(last) = buckets.last_mut() {
                *last = total.latency.count - below;
            }
            buckets
        });
        let Total { answers, in_flight, layer4, latency } = total;
        Self { labels, answers, in_flight, layer4, micros: latency.sum, buckets }
    }
}

/// The labels of a route's series.
#[derive(Debug)]
struct Route(String);

/// The labels of a target's series.
#[derive(Debug)]
struct Target(String, String);

/// Labels that one more can be added to.
trait Labels: fmt::Debug + Send + Sync + 'static {
    fn encode(&self, status: Option<&str>, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result;
}

impl Labels for Route {
    fn encode(&self, status: Option<&str>, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("route", self.0.as_str())].encode(encoder)?;
        status.map_or(Ok(()), |status| [("status", status)].encode(encoder))
    }
}

impl Labels for Target {
    fn encode(&self, status: Option<&str>, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("service", self.0.as_str()), ("target", self.1.as_str())].encode(encoder)?;
        status.map_or(Ok(()), |status| [("status", status)].encode(encoder))
    }
}

/// Labels with the class of the status, or without.
struct With<'a, L>(&'a L, Option<&'static str>);

impl<L: Labels> EncodeLabelSet for With<'_, L> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(self.1, encoder)
    }
}

/// Everything at one moment.
#[derive(Debug)]
struct Scrape {
    format: Format,
    routes: Vec<Sample<Route>>,
    targets: Vec<Sample<Target>>,
    counters: Vec<(&'static str, &'static str, u64)>,
    gauges: Vec<(&'static str, &'static str, u64)>,
    rejects: Vec<(&'static str, u64)>,
    reloads: ReloadState,
    version: &'static str,
}

impl Scrape {
    fn read(control: &dyn Control, format: Format) -> Self {
        let metrics = control.metrics();
        let sums = |list: &[Sum]| list.iter().map(|(name, help, of)| (*name, *help, metrics.sum(of))).collect();
        let mut counters: Vec<_> = sums(&COUNTERS);
        let lost = "Access-log lines that could not be written";
        counters.push(("access_log_write_errors", lost, metrics.lost_log_lines()));
        let reloads = control.reloads();
        let applied = "Configs applied while running, the first one not counted";
        counters.push(("config_reloads", applied, reloads.applied.saturating_sub(1)));
        let failures = "Configs rejected while running; the one before went on being served";
        counters.push(("config_reload_failures", failures, reloads.rejected));
        let routes = metrics.routes().into_iter();
        let targets = metrics.targets().into_iter();
        Self {
            format,
            routes: routes.map(|(name, series)| Sample::read(Route(name), &series)).collect(),
            targets: targets
                .map(|((service, target), series)| Sample::read(Target(service, target), &series))
                .collect(),
            counters,
            gauges: sums(&GAUGES),
            rejects: rejects(&metrics),
            reloads,
            version: control.version(),
        }
    }

    /// Begins a counter. OpenMetrics names the family without `_total`, the older format with it; the encoder adds it
    /// to a counter's samples and leaves a gauge's alone.
    fn counter(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        samples: Samples<'_>,
    ) -> fmt::Result {
        match self.format {
            Format::OpenMetrics => {
                samples(&Value::Counter, encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
            }
            Format::Text => {
                let name = format!("{name}_total");
                samples(&Value::Gauge, encoder.encode_descriptor(&name, help, None, MetricType::Counter)?)
            }
        }
    }

    fn encode_series<L: Labels>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        names: &Names,
        series: &[Sample<L>],
    ) -> fmt::Result {
        let (name, help) = names.requests;
        self.counter(encoder, name, help, &|value, mut metric| {
            for sample in series {
                for (class, count) in CLASSES.iter().zip(sample.answers) {
                    value.encode(metric.encode_family(&With(&sample.labels, Some(class)))?, count)?;
                }
            }
            Ok(())
        })?;
        let (name, help) = names.in_flight;
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for sample in series {
            metric.encode_family(&With(&sample.labels, None))?.encode_gauge(&sample.in_flight)?;
        }
        let (name, help) = names.duration;
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for sample in series {
            let Some(counts) = &sample.buckets else { continue };
            let bounds = BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
            let mut buckets = [(0.0, 0); BOUNDS.len() + 1];
            for (bucket, pair) in buckets.iter_mut().zip(bounds.zip(*counts)) {
                *bucket = pair;
            }
            let (sum, count) = (seconds(sample.micros), counts.iter().sum());
            let labels = With(&sample.labels, None);
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn encode_layer4(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, of) in LAYER4 {
            self.counter(encoder, name, help, &|value, mut metric| {
                for target in self.targets.iter().filter(|target| target.layer4.connections > 0) {
                    value.encode(metric.encode_family(&With(&target.labels, None))?, of(&target.layer4))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn encode_process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, count) in &self.counters {
            self.counter(encoder, name, help, &|value, metric| value.encode(metric, *count))?;
        }
        for (name, help, value) in &self.gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)?;
        }
        let help = "Requests the gateway turned away, by kind";
        self.counter(encoder, "rejects", help, &|value, mut metric| {
            for (kind, count) in &self.rejects {
                value.encode(metric.encode_family(&[("kind", *kind)])?, *count)?;
            }
            Ok(())
        })?;
        let help = "When the running config was applied, in seconds since 1970";
        encoder
            .encode_descriptor("config_applied_timestamp", help, Some(&Unit::Seconds), MetricType::Gauge)?
            .encode_gauge(&self.reloads.applied_at)?;
        let (help, labels) = ("The program", [("version", self.version)]);
        match self.format {
            Format::OpenMetrics => {
                encoder.encode_descriptor("build", help, None, MetricType::Info)?.encode_info(&labels)
            }
            Format::Text => encoder
                .encode_descriptor("build_info", help, None, MetricType::Gauge)?
                .encode_family(&labels)?
                .encode_gauge(&1_u64),
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_series(&mut encoder, &ROUTES, &self.routes)?;
        self.encode_series(&mut encoder, &TARGETS, &self.targets)?;
        self.encode_layer4(&mut encoder)?;
        self.encode_process(&mut encoder)
    }
}

/// What writes a counter's samples once it is begun.
type Samples<'a> = &'a dyn Fn(&Value, MetricEncoder<'_>) -> fmt::Result;

/// How a counter's samples are written.
enum Value {
    Counter,
    Gauge,
}

impl Value {
    fn encode(&self, mut metric: MetricEncoder<'_>, count: u64) -> fmt::Result {
        match self {
            Self::Counter => metric.encode_counter::<NoLabelSet, u64, f64>(&count, None),
            Self::Gauge => metric.encode_gauge(&count),
        }
    }
}

/// The counts of what the gateway turned away, in the order of the kinds.
pub(crate) fn rejects(metrics: &Metrics) -> Vec<(&'static str, u64)> {
    let count = |index: usize| {
        (0..metrics.worker_count())
            .filter_map(|worker| metrics.worker(worker)?.rejects.get(index))
            .map(Counter::get)
            .sum()
    };
    Kind::ALL.iter().enumerate().map(|(index, kind)| (kind.slug(), count(index))).collect()
}

#[allow(clippy::cast_precision_loss, reason = "2^52 µs are 142 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests;
