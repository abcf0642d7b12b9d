//! `request-id`: a name for every exchange, in logs, in errors, at the service and at the client.
//!
//! ```yaml
//! plugins:
//!   - name: request-id
//!     config:
//!       header: X-Request-ID
//!       trust_incoming: false
//! ```
//! It is on by default on every route. An id is a UUID of version 7 (RFC 9562 §5.7): ids sort by time. Its random bits
//! come from a generator of each thread's own, seeded once from the operating system, so that threads and machines do
//! not meet; they are unique, not secret.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Headers, Known, Request};
use uuid::Builder;

use crate::entry::{Definition, unless};
use crate::field::check_name;

/// A name for every exchange, in logs, in errors, at the service and at the client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "request-id")]
pub(crate) struct Config {
    /// The header that carries the id, to the service and to the client. Default: `X-Request-ID`.
    header: String,
    /// Whether an id that the client sends is taken over, if it is at most 128 letters, digits and `-_.~:/+=@`.
    /// Default: false, a new one takes its place.
    trust_incoming: bool,
    /// How ids look. Default and only choice: `uuid7`.
    format: Format,
}

/// How ids look.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum Format {
    /// A UUID of version 7: milliseconds since 1970, then random bits.
    #[default]
    Uuid7,
}

impl Default for Config {
    fn default() -> Self {
        Self { header: "X-Request-ID".to_owned(), trust_incoming: false, format: Format::Uuid7 }
    }
}

/// The plugin as run.
pub(crate) struct RequestId {
    header: Box<str>,
    known: Known,
    trust_incoming: bool,
}

impl Definition for RequestId {
    const NAME: &'static str = "request-id";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let Config { header, trust_incoming, format: Format::Uuid7 } = config;
        let problems = check_name(raw, "header", &header).into_iter().collect();
        unless(problems, Self { known: Known::of(header.as_bytes()), header: header.into(), trust_incoming })
    }
}

impl Plugin for RequestId {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, mut request: Request, next: Next<'_>) -> Outcome {
        match self.trusted(&request.headers) {
            Some(id) => id.clone_into(&mut cx.request_id),
            None => {
                assign(cx);
                self.set(&mut request.headers, &cx.request_id);
            }
        }
        let mut response = next.run(cx, request).await;
        self.set(&mut response.headers, &cx.request_id);
        Ok(response)
    }
}

impl RequestId {
    /// Puts the id into the header, in the place of all that is there.
    fn set(&self, headers: &mut Headers, id: &str) {
        if self.known == Known::RequestId {
            // A bit says that there is none, as there mostly is none.
            headers.remove_known(Known::RequestId);
        } else {
            headers.remove(&self.header);
        }
        headers.add_line(self.known, &self.header, &[id.as_bytes()]);
    }

    /// The id the client sent, if such are believed and it can do no harm in a header, a log or a URL.
    fn trusted<'a>(&'a self, headers: &'a Headers) -> Option<&'a str> {
        if !self.trust_incoming {
            return None;
        }
        let mut ids = headers.get_all(&self.header);
        let id = ids.next().filter(|id| (1..=128).contains(&id.len()) && id.iter().all(|byte| is_sane(*byte)))?;
        if ids.next().is_some() { None } else { std::str::from_utf8(id).ok() }
    }
}

const fn is_sane(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':' | b'/' | b'+' | b'=' | b'@')
}

/// Gives the exchange a fresh id.
pub(crate) fn assign(cx: &mut Context<'_>) {
    let mut text = [0; 36];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = now.as_secs() * 1000 + u64::from(now.subsec_millis());
    let id = Builder::from_unix_timestamp_millis(millis, &random()).into_uuid();
    cx.request_id = String::from(&*id.hyphenated().encode_lower(&mut text));
}

thread_local! {
    /// The state of this thread's generator. `fastrand`'s own seed is made of the clock and the thread's number, which
    /// two machines may share; `RandomState` is seeded by the operating system.
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::thread::current().id()));
}

fn random() -> [u8; 10] {
    let mut rng = fastrand::Rng::with_seed(STATE.get());
    let (head, [a, b, ..]) = (rng.u64(..).to_le_bytes(), rng.u64(..).to_le_bytes());
    STATE.set(rng.get_seed());
    let [c, d, e, f, g, h, i, j] = head;
    [a, b, c, d, e, f, g, h, i, j]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;
    use tollgate_core::{Kind, Reject};

    use super::*;
    use crate::testing::{Exchange, link, problems};

    fn is_uuid7(id: &str) -> bool {
        uuid::Uuid::parse_str(id).is_ok_and(|uuid| uuid.get_version_num() == 7 && uuid.to_string() == id)
    }

    #[test]
    fn a_fresh_id_goes_to_the_service_and_to_the_client() {
        let seen = Exchange::default()
            .header("x-request-id", "from-the-client")
            .header("X-Request-Id", "twice")
            .answering(&[("X-Request-Id", "from-the-service")])
            .run(&[link("request-id", json!({}))]);
        assert!(is_uuid7(&seen.request_id), "{}", seen.request_id);
        assert_eq!(seen.sent("X-Request-ID").as_ref(), Some(&seen.request_id));
        assert_eq!(seen.answered("X-Request-ID").as_ref(), Some(&seen.request_id));
    }

    #[test]
    fn it_starts_with_the_time() {
        let seen = Exchange::default().run(&[link("request-id", json!({}))]);
        let (seconds, _) = uuid::Uuid::parse_str(&seen.request_id).unwrap().get_timestamp().unwrap().to_unix();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(seconds) < 60, "{seconds} is not now, {now}");
    }

    #[test]
    fn a_rejection_has_the_id() {
        let answer = Err(Reject::new(Kind::Unavailable, "no"));
        let seen = Exchange { answer, ..Exchange::default() }.run(&[link("request-id", json!({}))]);
        assert_eq!(seen.status(), 503);
        assert_eq!(seen.answered("X-Request-ID").as_ref(), Some(&seen.request_id));
        assert!(seen.text().contains(&seen.request_id));
    }

    #[test]
    fn an_incoming_id_is_believed_only_when_told_and_sane() {
        let trusting = || link("request-id", json!({"trust_incoming": true, "header": "X-Trace"}));
        let long = "a".repeat(128);
        for sane in ["abc-1", "Root=1-5759e988:x/y+z@a~b_c.d", &long] {
            let seen = Exchange::default().header("X-Trace", sane).run(&[trusting()]);
            assert_eq!(seen.sent("X-Trace").as_deref(), Some(sane));
            assert_eq!(seen.answered("X-Trace").as_deref(), Some(sane));
            assert_eq!(seen.request_id, sane);
        }
        for odd in ["", "a b", "a\"b", "<x>", "a,b", "é", "a%0a", &"a".repeat(129)] {
            let seen = Exchange::default().header("X-Trace", odd).run(&[trusting()]);
            assert!(is_uuid7(&seen.request_id), "{odd}");
            assert_eq!(seen.sent("X-Trace").as_ref(), Some(&seen.request_id), "{odd}");
        }
        let twice = Exchange::default().header("X-Trace", "a").header("X-Trace", "b").run(&[trusting()]);
        assert!(is_uuid7(&twice.request_id));
        assert_eq!(twice.sent("X-Trace").as_ref(), Some(&twice.request_id));
    }

    #[test]
    fn ids_are_unique_across_threads() {
        let make = || {
            let chain = [link("request-id", json!({}))];
            (0..5_000).map(|_| Exchange::default().run(&chain).request_id).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let config = json!({"header": "Host", "format": "uuid7"});
        assert!(problems("request-id", config)[0].starts_with("`Host` is not a plugin's to change"));
        assert!(problems("request-id", json!({"header": "a b"}))[0].contains("the name of a header"));
        assert_eq!(problems("request-id", json!({"format": "uuid4"})).len(), 1);
        assert_eq!(problems("request-id", json!({"trust": true})).len(), 1);
    }
}
