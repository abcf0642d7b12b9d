//! Rejections: every reason for which the gateway itself answers, with its status, its problem type and its side.
//!
//! One table maps kinds to answers. What reaches the client is `application/problem+json` (RFC 9457) with nothing
//! internal in it: no target address, no library's text. The cause stays with the rejection, for the log.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::context::Context;
use crate::grpc;
use crate::response::Response;

/// Whose fault a rejection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The client's: another request may fare better.
    Client,
    /// The gateway's own: a limit of it, or its config.
    Gateway,
    /// The service's.
    Service,
}

macro_rules! kinds {
    ($( $(#[doc = $doc:literal])* $kind:ident => $status:ident, $slug:literal, $title:literal, $side:ident, $retryable:literal; )*) => {
        /// What kind of rejection it is. The table below gives each its status, slug, title, side, and whether the
        /// same request may succeed when tried again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $( $(#[doc = $doc])* $kind, )* }

        impl Kind {
            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $( Self::$kind => StatusCode::$status, )* }
            }
            /// The last part of the problem's type, and the kind's name in logs and metrics.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $( Self::$kind => $slug, )* }
            }
            /// The problem's title.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $( Self::$kind => $title, )* }
            }
            /// Whose fault it is.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $( Self::$kind => Side::$side, )* }
            }
            /// Whether the same request may succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $( Self::$kind => $retryable, )* }
            }
            /// All kinds.
            pub const ALL: &'static [Self] = &[ $( Self::$kind, )* ];
        }
    };
}

kinds! {
    /// The request breaks HTTP's rules (RFC 9110, RFC 9112).
    BadRequest => BAD_REQUEST, "bad-request", "Bad Request", Client, false;
    /// The client closed its connection before it was answered: nobody reads the answer.
    ClientGone => BAD_REQUEST, "client-gone", "Client Gone", Client, false;
    /// Its path, query or host is not acceptable.
    BadTarget => BAD_REQUEST, "bad-target", "Bad Request Target", Client, false;
    /// No route matches.
    NoRoute => NOT_FOUND, "no-route", "Not Found", Client, false;
    /// The request is for a host that the connection's certificate is not for (RFC 9110 §15.5.20).
    Misdirected => MISDIRECTED_REQUEST, "misdirected", "Misdirected Request", Client, true;
    /// A route matches but for the method.
    MethodNotAllowed => METHOD_NOT_ALLOWED, "method-not-allowed", "Method Not Allowed", Client, false;
    /// Head or body did not come in time.
    RequestTimeout => REQUEST_TIMEOUT, "request-timeout", "Request Timeout", Client, true;
    /// The body is longer than a limit.
    BodyTooLarge => PAYLOAD_TOO_LARGE, "body-too-large", "Content Too Large", Client, false;
    /// The request line is longer than the limit.
    UriTooLong => URI_TOO_LONG, "uri-too-long", "URI Too Long", Client, false;
    /// Too many or too long header fields.
    HeadTooLarge => REQUEST_HEADER_FIELDS_TOO_LARGE, "header-fields-too-large", "Request Header Fields Too Large", Client, false;
    /// `Expect` names something else than `100-continue`.
    ExpectationFailed => EXPECTATION_FAILED, "expectation-failed", "Expectation Failed", Client, false;
    /// An HTTP version that is not spoken.
    VersionNotSupported => HTTP_VERSION_NOT_SUPPORTED, "version-not-supported", "HTTP Version Not Supported", Client, false;
    /// A transfer coding that is not spoken.
    CodingNotImplemented => NOT_IMPLEMENTED, "coding-not-implemented", "Not Implemented", Client, false;
    /// A policy says no.
    Forbidden => FORBIDDEN, "forbidden", "Forbidden", Client, false;
    /// No connection to the service could be made.
    ConnectFailed => BAD_GATEWAY, "connect-failed", "Bad Gateway", Service, true;
    /// The service closed before its answer was complete.
    ServiceClosed => BAD_GATEWAY, "service-closed", "Bad Gateway", Service, true;
    /// The service's answer breaks HTTP's rules.
    BadAnswer => BAD_GATEWAY, "bad-answer", "Bad Gateway", Service, false;
    /// No connection to the service within the time-out.
    ConnectTimeout => GATEWAY_TIMEOUT, "connect-timeout", "Gateway Timeout", Service, true;
    /// No answer of the service within the time-out.
    AnswerTimeout => GATEWAY_TIMEOUT, "answer-timeout", "Gateway Timeout", Service, true;
    /// Nothing can take the request at the moment.
    Unavailable => SERVICE_UNAVAILABLE, "unavailable", "Service Unavailable", Gateway, true;
    /// The gateway failed.
    Internal => INTERNAL_SERVER_ERROR, "internal", "Internal Server Error", Gateway, false;
}

/// The problem types' common prefix; `docs/errors.md` describes each.
pub const TYPE_PREFIX: &str = "https://tollgate.dev/problems/";

/// A reason for which the gateway answers itself.
#[derive(Debug)]
pub struct Reject {
    /// What kind it is.
    pub kind: Kind,
    /// One sentence for the client. Nothing internal.
    pub detail: Cow<'static, str>,
    /// Further fields of the answer.
    pub headers: Vec<(&'static str, String)>,
    /// The cause, for the log.
    pub source: Option<Box<dyn std::error::Error>>,
    /// The plugin that rejected, if one did.
    pub plugin: Option<&'static str>,
}

/// The members of RFC 9457 §3.1 and our one extension.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
}

impl Reject {
    /// A rejection with a sentence for the client.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), headers: Vec::new(), source: None, plugin: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with a further field in the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer the client sees. The rejection itself goes to the context, for the log.
    #[must_use]
    pub fn into_response(mut self, cx: &mut Context<'_>) -> Response {
        let response = if cx.grpc { self.to_grpc() } else { self.to_response(&cx.request_id) };
        self.plugin = cx.answered_by;
        cx.rejected = Some(Box::new(self));
        response
    }

    /// The answer the client sees, for a request that has no context yet.
    #[must_use]
    pub fn to_response(&self, request_id: &str) -> Response {
        let status = self.kind.status();
        let problem = Problem {
            r#type: format!("{TYPE_PREFIX}{}", self.kind.slug()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            request_id,
        };
        // Serializing strings and a number cannot fail; were it to, the status would still say enough.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(status).with_body("application/problem+json", body);
        for (name, value) in &self.headers {
            response.headers.add(name, value);
        }
        response
    }

    /// The answer a client of gRPC sees: nothing but a head ("Trailers-Only"), which gRPC reads like trailers.
    fn to_grpc(&self) -> Response {
        let mut response = Response::new(StatusCode::OK);
        response.headers.add("Content-Type", "application/grpc");
        response.headers.add("grpc-status", grpc::code(self.kind.status()).to_string());
        response.headers.add("grpc-message", grpc::message(&self.detail));
        for (name, value) in &self.headers {
            response.headers.add(name, value);
        }
        response
    }

    /// The cause and its causes, for the log.
    #[must_use]
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_kind_and_hides_its_cause() {
        let reject = Reject::new(Kind::ConnectFailed, "The service cannot be reached.")
            .because(std::io::Error::other("10.0.0.7:9001 refused"));
        let response = reject.to_response("abc");
        assert_eq!(response.status, 502);
        assert_eq!(response.headers.get_str("content-type"), Some("application/problem+json"));
        let crate::Body::Bytes(body) = &response.body else { panic!("a body is expected") };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "https://tollgate.dev/problems/connect-failed", "title": "Bad Gateway", "status": 502,
                "detail": "The service cannot be reached.", "request_id": "abc"
            })
        );
        assert_eq!(reject.causes(), "10.0.0.7:9001 refused");
    }

    #[test]
    fn slugs_are_unique() {
        let mut slugs: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
