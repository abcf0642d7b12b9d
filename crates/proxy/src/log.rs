//! The access log: one JSON object a line, through a bounded queue to whoever writes it.

use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Takes lines and never blocks.
pub trait LogSink: Send + Sync {
    /// Takes a line, its line feed included; false if it had to be dropped.
    fn try_send(&self, line: Vec<u8>) -> bool;
}

/// A line of the access log. Queries are left out: they hold keys and tokens too often.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    /// When the request's head was complete, RFC 3339 in UTC.
    pub time: String,
    pub client: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_id: &'a str,
    pub listener: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub method: &'a str,
    pub scheme: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub host: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub path: &'a str,
    pub protocol: &'a str,
    pub status: u16,
    /// False if the client did not get the whole answer.
    pub complete: bool,
    pub bytes_sent: u64,
    /// From the end of the request's head to the end of the answer.
    pub duration_ms: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// The plugin that answered in place of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<&'a str>,
    /// The kind of rejection, whose side it is on, and its cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<tollgate_core::Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_agent: &'a str,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A line as bytes, its line feed included.
pub(crate) fn line(line: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    // Writing strings and numbers into memory cannot fail; half a line would be worse than none.
    if serde_json::to_writer(&mut bytes, line).is_err() {
        bytes.clear();
    }
    bytes.push(b'\n');
    bytes
}

/// The time `elapsed` ago, as RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(elapsed: Duration) -> String {
    let time = SystemTime::now().checked_sub(elapsed).unwrap_or(SystemTime::UNIX_EPOCH);
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// The date of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }
}
