//! A gateway that exists only in its counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tollgate_core::control::{Control, Readiness, ReloadState};
use tollgate_core::metrics::Metrics;

/// What the tests set, and the admin API shows.
pub(crate) struct Fake {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) draining: AtomicBool,
    pub(crate) reloads: Mutex<ReloadState>,
    pub(crate) config: Mutex<serde_json::Value>,
}

impl Fake {
    /// One with so many workers.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::new(Metrics::new(workers)),
            draining: AtomicBool::new(false),
            reloads: Mutex::default(),
            config: Mutex::default(),
        })
    }

    /// Counts an answer of this class on the route, by the worker, that took so many microseconds.
    pub(crate) fn answer(&self, route: &str, worker: usize, class: usize, micros: u64) {
        let series = self.metrics.route(route);
        let shard = series.shard(worker).unwrap();
        shard.answers[class].add(1);
        shard.latency.record(micros);
    }
}

impl Control for Fake {
    fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Relaxed) { Readiness::Draining } else { Readiness::Ready }
    }

    fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    fn config(&self) -> serde_json::Value {
        self.config.lock().clone()
    }

    fn reloads(&self) -> ReloadState {
        self.reloads.lock().clone()
    }

    fn version(&self) -> &'static str {
        "1.2.3"
    }
}
