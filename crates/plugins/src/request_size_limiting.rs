//! `request-size-limiting`: how long the body of a request may be.
//!
//! ```yaml
//! plugins:
//!   - name: request-size-limiting
//!     config:
//!       max: 1MiB
//! ```
//! It can only lower the listener's `max_body_bytes`. A body whose length is announced is refused before a byte of it
//! is read; any other is cut off, with the same answer, once it is longer.

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Problem, Raw, Size};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Kind, Reject, Request};

use crate::entry::Definition;

/// How long the body of a request may be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "request-size-limiting")]
pub(crate) struct Config {
    /// The most bytes a body may have. Default: 10MiB.
    max: Size,
}

impl Default for Config {
    fn default() -> Self {
        Self { max: Size::from_mib(10) }
    }
}

/// The plugin as run.
pub(crate) struct RequestSizeLimiting {
    max: u64,
}

impl Definition for RequestSizeLimiting {
    const NAME: &'static str = "request-size-limiting";
    type Config = Config;

    fn compile(config: Config, _: &Raw) -> Result<Self, Vec<Problem>> {
        Ok(Self { max: config.max.get() })
    }
}

impl Plugin for RequestSizeLimiting {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, mut request: Request, next: Next<'_>) -> Outcome {
        match request.body.length() {
            Some(length) if length > self.max => {
                let detail = format!("The request's body is longer than {} bytes.", self.max);
                return Err(Reject::new(Kind::BodyTooLarge, detail));
            }
            // A body of known length does not get longer.
            Some(_) => {}
            None => request.body.limit(self.max),
        }
        Ok(next.run(cx, request).await)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context as TaskContext, Poll};

    use serde_json::json;
    use tollgate_core::body::BodyStream;
    use tollgate_core::{Body, BodyError};

    use crate::testing::{Exchange, Seen, found, link, now};

    /// So many bytes, one at a time.
    struct Bytes {
        left: u64,
        announced: bool,
    }

    impl BodyStream for Bytes {
        fn poll_fill(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<bool, BodyError>> {
            Poll::Ready(Ok(self.left > 0))
        }
        fn data(&self) -> &[u8] {
            if self.left > 0 { b"x" } else { b"" }
        }
        fn consume(&mut self, n: usize) {
            self.left -= n as u64;
        }
        fn length(&self) -> Option<u64> {
            self.announced.then_some(self.left)
        }
    }

    fn post(body: Body) -> Seen {
        Exchange { body, ..Exchange::default() }.run(&[link("request-size-limiting", json!({"max": "10B"}))])
    }

    #[test]
    fn an_announced_body_is_refused_at_once() {
        for (body, status) in [
            (Body::Empty, 200),
            (Body::from("x".repeat(10)), 200),
            (Body::from("x".repeat(11)), 413),
            (Body::Stream(Box::new(Bytes { left: 10, announced: true })), 200),
            (Body::Stream(Box::new(Bytes { left: 11, announced: true })), 413),
        ] {
            let what = format!("{body:?}");
            let seen = post(body);
            assert_eq!(seen.status(), status, "{what}");
            assert_eq!(seen.request.is_some(), status == 200, "{what}");
            assert_eq!(seen.answered_by.is_some(), status == 413, "{what}");
        }
        assert!(post(Body::from("x".repeat(11))).text().contains("longer than 10 bytes"));
    }

    #[test]
    fn a_body_of_unknown_length_is_cut_off() {
        let collected = |left| {
            let seen = post(Body::Stream(Box::new(Bytes { left, announced: false })));
            now(std::mem::take(&mut seen.request.unwrap().body).collect(99)).map(|bytes| bytes.len())
        };
        assert_eq!(collected(10), Ok(10));
        assert_eq!(collected(11), Err(BodyError::TooLarge));
    }

    #[test]
    fn the_default_is_ten_mebibytes() {
        let post = |len| {
            let body = Body::from("x".repeat(len));
            Exchange { body, ..Exchange::default() }.run(&[link("request-size-limiting", json!({}))]).status()
        };
        assert_eq!(post(10 << 20), 200);
        assert_eq!(post((10 << 20) + 1), 413);
        for wrong in [json!({"max": "ten"}), json!({"max": -1}), json!({"maximum": 1})] {
            assert_eq!(found("request-size-limiting", &wrong).len(), 1, "{wrong}");
        }
    }
}
