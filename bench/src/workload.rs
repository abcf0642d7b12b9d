//! The workloads: what is asked of whom, what is measured, and what tollgate has promised.

use clap::ValueEnum;

use crate::http::PLAIN_PATH;
use crate::peers::Proxy;

/// The routes of tollgate's configuration unless the workload is about them.
pub(crate) const ROUTES: usize = 1000;

/// A workload by name, as `--only` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// GET, 1 KiB answers
    Get,
    /// GET, 16 KiB answers
    Get16k,
    /// GET, 10 MiB answers
    Get10m,
    /// POST, 4 KiB requests
    Post,
    /// GET with 10, 1,000 and 10,000 routes
    Routes,
    /// 10,000 idle keep-alive connections
    Idle,
    /// 200 slow readers of 100 MiB each
    Slow,
}

/// A column of a workload's table: the key of a measurement, its title, and how it is printed.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) decimals: usize,
}

const fn column(key: &'static str, title: &'static str, decimals: usize) -> Column {
    Column { key, title, decimals }
}

/// `subject`'s cost over `peer`'s; at most `limit` when something was promised.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) subject: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) limit: Option<f64>,
}

const fn target(subject: &'static str, peer: &'static str, limit: f64) -> Target {
    Target { subject, peer, limit: Some(limit) }
}

const fn ratio(subject: &'static str, peer: &'static str) -> Target {
    Target { subject, peer, limit: None }
}

/// Requests as fast as they are answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: usize,
    pub(crate) answer: u64,
    pub(crate) connections: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Http(Http),
    /// So many connections that ask once and then stay.
    Idle(usize),
    /// So many readers of so many bytes.
    Slow(usize, u64),
}

/// One line of a workload's table: a proxy as it is configured for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) label: &'static str,
    pub(crate) proxy: Proxy,
    /// Routes in the configuration; only tollgate's has them.
    pub(crate) routes: usize,
}

#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: Name,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) subjects: &'static [Subject],
    pub(crate) columns: &'static [Column],
    pub(crate) targets: &'static [Target],
}

impl Workload {
    /// The key of what the ratios compare: the first column.
    pub(crate) fn cost(&self) -> &'static str {
        self.columns.first().map_or("", |column| column.key)
    }
}

const fn subject(label: &'static str, proxy: Proxy) -> Subject {
    Subject { label, proxy, routes: ROUTES }
}

const RELAY: Subject = subject("relay", Proxy::Relay);
const TOLLGATE: Subject = subject("tollgate", Proxy::Tollgate);
const HAPROXY: Subject = subject("haproxy", Proxy::Haproxy);
const NGINX: Subject = subject("nginx", Proxy::Nginx);
const ENVOY: Subject = subject("envoy", Proxy::Envoy);
const ALL: &[Subject] = &[RELAY, TOLLGATE, HAPROXY, NGINX, ENVOY];

const PER_REQUEST: &[Column] = &[
    column("cpu_us", "µs CPU/request", 2),
    column("user_us", "user", 2),
    column("system_us", "system", 2),
    column("requests_per_s", "requests/s", 0),
    column("p99_ms", "p99 ms", 2),
    column("rss_mb", "RSS MB", 1),
    column("waited_percent", "waited %", 1),
];

const PER_BYTE: &[Column] = &[
    column("cpu_us_per_mib", "µs CPU/MiB", 1),
    column("user_us", "user µs/answer", 0),
    column("system_us", "system µs/answer", 0),
    column("mib_per_s", "MiB/s", 0),
    column("p99_ms", "p99 ms", 1),
    column("rss_mb", "RSS MB", 1),
    column("waited_percent", "waited %", 1),
];

const PER_CONNECTION: &[Column] = &[
    column("bytes_per_connection", "bytes/connection", 0),
    column("reserved_per_connection", "of it reserved", 0),
    column("rss_few_mb", "RSS MB", 1),
    column("rss_after_mb", "with them", 1),
    column("still_open", "still open", 0),
];

const OVER_TIME: &[Column] = &[
    column("peak_mb", "peak RSS MB", 1),
    column("kib_per_reader", "KiB/reader", 1),
    column("rss_before_mb", "before", 1),
    column("rss_first_mb", "at 0%", 1),
    column("rss_middle_mb", "at 50%", 1),
    column("rss_last_mb", "at 100%", 1),
    column("read_mib", "read MiB", 0),
];

const fn get(path: &'static str, answer: u64, connections: usize) -> Kind {
    Kind::Http(Http { method: "GET", path, body: 0, answer, connections })
}

/// Every workload, in the order in which they run.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: Name::Get,
        title: "GET, 8 headers, 1 KiB answers, 64 connections, tollgate with 1,000 routes",
        kind: get(PLAIN_PATH, 1024, 64),
        subjects: ALL,
        columns: PER_REQUEST,
        targets: &[
            target("tollgate", "haproxy", 0.8),
            target("tollgate", "nginx", 0.8),
            target("tollgate", "relay", 1.5),
            ratio("tollgate", "envoy"),
        ],
    },
    Workload {
        name: Name::Get16k,
        title: "GET, 16 KiB answers, 64 connections",
        kind: get("/bytes/16384", 16_384, 64),
        subjects: ALL,
        columns: PER_REQUEST,
        targets: &[ratio("tollgate", "haproxy"), ratio("tollgate", "nginx"), ratio("tollgate", "relay")],
    },
    Workload {
        name: Name::Get10m,
        title: "GET, 10 MiB answers, 4 connections: the cost of a byte",
        kind: get("/bytes/10485760", 10_485_760, 4),
        subjects: ALL,
        columns: PER_BYTE,
        targets: &[target("tollgate", "nginx", 1.0), ratio("tollgate", "haproxy"), ratio("tollgate", "relay")],
    },
    Workload {
        name: Name::Post,
        title: "POST, 4 KiB requests, 1 KiB answers, 64 connections",
        kind: Kind::Http(Http { method: "POST", path: PLAIN_PATH, body: 4096, answer: 1024, connections: 64 }),
        subjects: ALL,
        columns: PER_REQUEST,
        targets: &[ratio("tollgate", "haproxy"), ratio("tollgate", "nginx"), ratio("tollgate", "relay")],
    },
    Workload {
        name: Name::Routes,
        title: "GET, 1 KiB answers, 64 connections: the cost of routes",
        kind: get(PLAIN_PATH, 1024, 64),
        subjects: &[
            Subject { label: "10 routes", proxy: Proxy::Tollgate, routes: 10 },
            Subject { label: "1,000 routes", proxy: Proxy::Tollgate, routes: 1000 },
            Subject { label: "10,000 routes", proxy: Proxy::Tollgate, routes: 10_000 },
        ],
        columns: PER_REQUEST,
        targets: &[ratio("1,000 routes", "10 routes"), target("10,000 routes", "10 routes", 1.2)],
    },
    Workload {
        name: Name::Idle,
        title: "10,000 idle keep-alive connections, each after one request",
        kind: Kind::Idle(10_000),
        subjects: &[TOLLGATE, HAPROXY, NGINX],
        columns: PER_CONNECTION,
        targets: &[target("tollgate", "nginx", 2.0), ratio("tollgate", "haproxy")],
    },
    Workload {
        name: Name::Slow,
        title: "200 slow readers of 100 MiB each",
        kind: Kind::Slow(200, 100 << 20),
        subjects: &[TOLLGATE, NGINX],
        columns: OVER_TIME,
        targets: &[ratio("tollgate", "nginx")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_subjects_of_their_workload() {
        for workload in WORKLOADS {
            let known = |label: &str| workload.subjects.iter().any(|subject| subject.label == label);
            for target in workload.targets {
                assert!(known(target.subject) && known(target.peer), "{:?}: {target:?}", workload.name);
            }
        }
    }

    #[test]
    fn every_name_is_a_workload() {
        for name in Name::value_variants() {
            assert_eq!(WORKLOADS.iter().filter(|workload| workload.name == *name).count(), 1, "{name:?}");
        }
    }
}
