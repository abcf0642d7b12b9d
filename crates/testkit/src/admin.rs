//! What a gateway says of itself over its admin API.

use crate::client::{Client, Response};
use crate::gateway::Gateway;
use crate::text::latin1;
use crate::wait::{PATIENCE, eventually};

impl Gateway {
    /// Asks the admin API at `{admin}`, on a connection of its own.
    pub fn admin_get(&self, path: &str) -> Response {
        self.admin_get_with(path, "")
    }

    /// Asks the admin API with more field lines, each with its CRLF.
    pub fn admin_get_with(&self, path: &str, fields: &str) -> Response {
        let mut client = Client::connect(self.admin());
        let host = self.admin();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"));
        client.response("GET").unwrap_or_else(|stop| panic!("the admin API does not answer {path}: {stop:?}"))
    }

    /// All metrics now.
    pub fn metrics(&self) -> Metrics {
        let answer = self.admin_get("/metrics");
        assert_eq!(answer.status, 200, "/metrics");
        Metrics(answer.text())
    }

    /// Waits until the metrics satisfy `wanted`, and gives them; panics with them otherwise. What a request changes is
    /// counted after its answer was sent.
    pub fn metrics_when(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let mut last = None;
        let found = eventually(PATIENCE, || {
            let now = self.metrics();
            let good = wanted(&now);
            last = Some(now.clone());
            good.then_some(now)
        });
        found.unwrap_or_else(|| panic!("{what} never came; the metrics are\n{}", last.map(|m| m.0).unwrap_or_default()))
    }
}

/// The answer of `/metrics`.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// The sample with this name and labels, written as they are printed: `name{label="value"}`. None: there is none.
    pub fn get(&self, sample: &str) -> Option<u64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        value.trim_end_matches(".0").parse().ok()
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Text of bytes that may be anything, for messages.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| latin1(bytes))
}
