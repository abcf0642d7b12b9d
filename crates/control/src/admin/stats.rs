//! `GET /stats`: the counts and latencies of the process, each route and each target as JSON.

use serde::{Serialize, Serializer};
use tollgate_core::control::{Control, ReloadState};
use tollgate_core::metrics::{Latencies, Layer4, Metrics, Series, Total};

use crate::metrics::{CLASSES, rejects};

/// The answer.
#[derive(Serialize)]
pub(super) struct Stats {
    version: &'static str,
    config: ReloadState,
    totals: Totals,
    routes: Vec<Route>,
    targets: Vec<Target>,
}

#[derive(Serialize)]
struct Totals {
    workers: usize,
    /// Over the routes of the running config.
    #[serde(flatten)]
    exchanges: Exchanges,
    connections_accepted: u64,
    connections_open: u64,
    proxy_headers_refused: u64,
    upstream_connects: u64,
    upstream_reuses: u64,
    retries: u64,
    tunnels_open: u64,
    panics: u64,
    access_log_drops: u64,
    access_log_write_errors: u64,
    /// Of those kinds that happened.
    #[serde(serialize_with = "as_map")]
    rejects: Vec<(&'static str, u64)>,
}

#[derive(Serialize)]
struct Route {
    route: String,
    #[serde(flatten)]
    exchanges: Exchanges,
}

#[derive(Serialize)]
struct Target {
    service: String,
    target: String,
    #[serde(flatten)]
    exchanges: Exchanges,
    /// Nothing without connections at layer 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer4: Option<Layer4>,
}

#[derive(Serialize)]
struct Exchanges {
    requests: u64,
    #[serde(serialize_with = "by_class")]
    answers: [u64; CLASSES.len()],
    /// Answers of the class 5xx.
    errors: u64,
    in_flight: u64,
    /// Nothing without requests.
    latency_ms: Option<LatencyMs>,
}

#[derive(Serialize)]
struct LatencyMs {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

impl Stats {
    /// The counts now.
    pub(super) fn read(control: &dyn Control) -> Self {
        let metrics = control.metrics();
        let mut all = Total::default();
        let read = |(route, series): (String, std::sync::Arc<Series>)| {
            let total = series.total();
            add(&mut all, &total);
            Route { route, exchanges: Exchanges::of(&total) }
        };
        let routes = metrics.routes().into_iter().map(read).collect();
        let targets = metrics.targets().into_iter();
        let targets = targets.map(|((service, target), series)| {
            let total = series.total();
            let layer4 = Some(total.layer4).filter(|layer4| layer4.connections > 0);
            Target { service, target, exchanges: Exchanges::of(&total), layer4 }
        });
        Self {
            version: control.version(),
            config: control.reloads(),
            totals: Totals::of(&metrics, &all),
            routes,
            targets: targets.collect(),
        }
    }
}

fn add(all: &mut Total, one: &Total) {
    for (sum, count) in all.answers.iter_mut().zip(one.answers) {
        *sum += count;
    }
    all.in_flight += one.in_flight;
    all.latency.merge(&one.latency);
}

impl Totals {
    fn of(metrics: &Metrics, all: &Total) -> Self {
        Self {
            workers: metrics.worker_count(),
            exchanges: Exchanges::of(all),
            connections_accepted: metrics.sum(|w| &w.connections_accepted),
            connections_open: metrics.sum(|w| &w.connections_open),
            proxy_headers_refused: metrics.sum(|w| &w.proxy_headers_refused),
            upstream_connects: metrics.sum(|w| &w.upstream_connects),
            upstream_reuses: metrics.sum(|w| &w.upstream_reuses),
            retries: metrics.sum(|w| &w.retries),
            tunnels_open: metrics.sum(|w| &w.tunnels_open),
            panics: metrics.sum(|w| &w.panics),
            access_log_drops: metrics.sum(|w| &w.log_drops),
            access_log_write_errors: metrics.lost_log_lines(),
            rejects: rejects(metrics).into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl Exchanges {
    fn of(total: &Total) -> Self {
        Self {
            requests: total.requests(),
            answers: total.answers,
            errors: total.answers.last().copied().unwrap_or_default(),
            in_flight: total.in_flight,
            latency_ms: LatencyMs::of(&total.latency),
        }
    }
}

impl LatencyMs {
    fn of(latencies: &Latencies) -> Option<Self> {
        let mean = latencies.sum.checked_div(latencies.count)?;
        let quantile = |share| milliseconds(latencies.quantile(share));
        Some(Self {
            mean: milliseconds(mean),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "2^52 µs are 142 years")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn by_class<S: Serializer>(answers: &[u64; CLASSES.len()], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(CLASSES.iter().zip(answers))
}

fn as_map<S: Serializer>(pairs: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}
