//! `security-headers`: what browsers should be told about pages and answers, said once for all services.
//!
//! ```yaml
//! plugins:
//!   - name: security-headers
//!     config:
//!       content_security_policy: "default-src 'self'"
//!       x_frame_options: DENY
//!       referrer_policy: null      # leave it to the service
//! ```
//! A key that is not given has a default, which gives way to what the service says itself. A value that is given takes
//! the place of what the service says. `null` leaves the header to the service.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Headers, Request, Scheme};

use crate::entry::{Definition, unless};
use crate::field::{Line, check_value};

/// What browsers should be told about pages and answers. `null` leaves a header to the service.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "security-headers")]
pub(crate) struct Config {
    /// `Strict-Transport-Security`; only sent to clients that came by https. Default: `max-age=31536000; includeSubDomains`.
    strict_transport_security: Setting,
    /// `Content-Security-Policy`. Default: `base-uri 'self'; object-src 'none'`.
    content_security_policy: Setting,
    /// `X-Content-Type-Options`. Default: `nosniff`.
    x_content_type_options: Setting,
    /// `X-Frame-Options`: `DENY` or `SAMEORIGIN`. Default: `SAMEORIGIN`.
    x_frame_options: Setting,
    /// `Referrer-Policy`. Default: `strict-origin-when-cross-origin`.
    referrer_policy: Setting,
    /// `Permissions-Policy`, such as `camera=(), microphone=()`. Default: none.
    permissions_policy: Setting,
}

/// A header's value: a text, `null` for none, or the default.
#[derive(Debug, Default)]
enum Setting {
    #[default]
    Default,
    Off,
    Value(String),
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(<Option<String>>::deserialize(deserializer)?.map_or(Self::Off, Self::Value))
    }
}

impl JsonSchema for Setting {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        <Option<String>>::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Option<String>>::json_schema(generator)
    }
}

/// A header of this plugin: all that is known about it.
struct Rule {
    key: &'static str,
    header: &'static str,
    default: Option<&'static str>,
    https_only: bool,
    /// What is wrong with a value, and what to do about it.
    check: fn(&str) -> Option<(String, &'static str)>,
}

/// Framing by pages of the same origin stays possible by default, as consoles and editors do it; it is other origins
/// that clickjack. The default CSP holds only what hardly any page needs: a policy on scripts that fits all does not
/// exist. There is no permission that no page needs, so no default for those.
const RULES: [Rule; 6] = [
    Rule {
        key: "strict_transport_security",
        header: "Strict-Transport-Security",
        default: Some("max-age=31536000; includeSubDomains"),
        https_only: true,
        check: check_hsts,
    },
    Rule {
        key: "content_security_policy",
        header: "Content-Security-Policy",
        default: Some("base-uri 'self'; object-src 'none'"),
        https_only: false,
        check: |_| None,
    },
    Rule {
        key: "x_content_type_options",
        header: "X-Content-Type-Options",
        default: Some("nosniff"),
        https_only: false,
        check: |value| {
            let known = value.eq_ignore_ascii_case("nosniff");
            (!known).then(|| (format!("expected `nosniff`, found `{value}`"), "it is the only value there is"))
        },
    },
    Rule {
        key: "x_frame_options",
        header: "X-Frame-Options",
        default: Some("SAMEORIGIN"),
        https_only: false,
        check: |value| {
            let known = ["DENY", "SAMEORIGIN"].iter().any(|known| value.eq_ignore_ascii_case(known));
            let help =
                "to let certain pages frame this one, use `content_security_policy: \"frame-ancestors https://…\"`";
            (!known).then(|| (format!("expected `DENY` or `SAMEORIGIN`, found `{value}`"), help))
        },
    },
    Rule {
        key: "referrer_policy",
        header: "Referrer-Policy",
        default: Some("strict-origin-when-cross-origin"),
        https_only: false,
        check: check_referrer,
    },
    Rule { key: "permissions_policy", header: "Permissions-Policy", default: None, https_only: false, check: |_| None },
];

/// RFC 6797 §6.1: `max-age` is needed.
fn check_hsts(value: &str) -> Option<(String, &'static str)> {
    let age = value.split(';').find_map(|part| {
        let (name, age) = part.trim().split_once('=')?;
        name.trim_end().eq_ignore_ascii_case("max-age").then_some(age.trim().trim_matches('"'))
    });
    let valid = age.is_some_and(|age| !age.is_empty() && age.bytes().all(|byte| byte.is_ascii_digit()));
    (!valid).then(|| (format!("`{value}` has no `max-age` in seconds"), "write `max-age=31536000; includeSubDomains`"))
}

/// The policies of the Referrer Policy standard; several are a fallback for older browsers.
fn check_referrer(value: &str) -> Option<(String, &'static str)> {
    const POLICIES: [&str; 8] = [
        "no-referrer",
        "no-referrer-when-downgrade",
        "same-origin",
        "origin",
        "strict-origin",
        "origin-when-cross-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
    ];
    let unknown = value.split(',').map(str::trim).find(|policy| !POLICIES.contains(policy))?;
    Some((
        format!("`{unknown}` is not a referrer policy"),
        "the policies are no-referrer, no-referrer-when-downgrade, same-origin, origin, strict-origin, \
         origin-when-cross-origin, strict-origin-when-cross-origin and unsafe-url",
    ))
}

/// The plugin as run.
pub(crate) struct SecurityHeaders(Vec<Header>);

struct Header {
    line: Line,
    https_only: bool,
    /// The operator wrote it, so it takes the place of what the service says.
    explicit: bool,
}

impl Definition for SecurityHeaders {
    const NAME: &'static str = "security-headers";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let settings = [
            config.strict_transport_security,
            config.content_security_policy,
            config.x_content_type_options,
            config.x_frame_options,
            config.referrer_policy,
            config.permissions_policy,
        ];
        let (mut headers, mut problems) = (Vec::new(), Vec::new());
        for (rule, setting) in RULES.iter().zip(settings) {
            let explicit = matches!(setting, Setting::Value(_));
            let value = match setting {
                Setting::Default => rule.default.map(str::to_owned),
                Setting::Off => None,
                Setting::Value(value) => Some(value),
            };
            let Some(value) = value else { continue };
            problems.extend(rule.wrong(&value, raw));
            headers.push(Header { line: Line::new(rule.header, &value), https_only: rule.https_only, explicit });
        }
        unless(problems, Self(headers))
    }
}

impl Rule {
    fn wrong(&self, value: &str, raw: &Raw) -> Option<Problem> {
        if value.trim().is_empty() {
            let help = format!("write `{}: null` to leave the header to the service", self.key);
            return Some(raw.problem(self.key, "the value is empty", Some(help)));
        }
        check_value(raw, self.key, value).or_else(|| {
            let (message, help) = (self.check)(value.trim())?;
            Some(raw.problem(self.key, message, Some(help.to_owned())))
        })
    }
}

impl SecurityHeaders {
    /// One bit for each of the headers that an answer has: one pass over its fields for all of them.
    fn present(&self, headers: &Headers) -> u8 {
        let mut present = 0;
        for (name, _) in headers.iter() {
            for (index, header) in self.0.iter().enumerate() {
                present |= u8::from(header.line.is_named(name)) << index;
            }
        }
        present
    }

    fn write(&self, scheme: Scheme, headers: &mut Headers) {
        let present = self.present(headers);
        for (index, header) in self.0.iter().enumerate() {
            // RFC 6797 §7.2: never over clear text.
            if header.https_only && scheme != Scheme::Https {
                continue;
            }
            match (present & (1 << index) != 0, header.explicit) {
                (true, true) => header.line.set_in(headers),
                (true, false) => {}
                (false, _) => header.line.add_to(headers),
            }
        }
    }
}

impl Plugin for SecurityHeaders {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        let mut response = next.run(cx, request).await;
        self.write(cx.scheme, &mut response.headers);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use tollgate_core::{Kind, Reject};

    use super::*;
    use crate::testing::{Exchange, Seen, found, link};

    fn get(scheme: Scheme, config: Json, service: &[(&str, &str)]) -> Seen {
        Exchange { scheme, ..Exchange::default() }.answering(service).run(&[link("security-headers", config)])
    }

    fn fields(seen: &Seen) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        seen.response.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn the_defaults_are_added() {
        let expected = [
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("Content-Security-Policy", "base-uri 'self'; object-src 'none'"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "SAMEORIGIN"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ];
        let owned = |list: &[(&str, &str)]| -> Vec<_> {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(fields(&get(Scheme::Https, json!({}), &[])), owned(&expected));
        assert_eq!(fields(&get(Scheme::Http, json!({}), &[])), owned(&expected[1..]), "no HSTS over clear text");
    }

    #[test]
    fn a_default_gives_way_to_the_service_and_a_setting_does_not() {
        let service = [("x-frame-options", "DENY"), ("Content-Security-Policy", "default-src 'none'")];
        let seen = get(Scheme::Http, json!({"content_security_policy": "default-src 'self'"}), &service);
        assert_eq!(seen.answered("X-Frame-Options").as_deref(), Some("DENY"));
        assert_eq!(seen.answered("Content-Security-Policy").as_deref(), Some("default-src 'self'"));
    }

    #[test]
    fn null_leaves_a_header_to_the_service() {
        let all_off = json!({"strict_transport_security": null, "content_security_policy": null,
            "x_content_type_options": null, "x_frame_options": null, "referrer_policy": null,
            "permissions_policy": null});
        assert_eq!(fields(&get(Scheme::Https, all_off.clone(), &[])), []);
        assert_eq!(fields(&get(Scheme::Https, all_off, &[("X-Frame-Options", "DENY")])).len(), 1);
    }

    #[test]
    fn settings_are_sent_as_written() {
        let config = json!({"strict_transport_security": "max-age=60", "permissions_policy": "camera=()",
            "x_frame_options": "deny", "referrer_policy": "no-referrer, same-origin"});
        let seen = get(Scheme::Https, config, &[]);
        assert_eq!(seen.answered("Strict-Transport-Security").as_deref(), Some("max-age=60"));
        assert_eq!(seen.answered("Permissions-Policy").as_deref(), Some("camera=()"));
        assert_eq!(seen.answered("X-Frame-Options").as_deref(), Some("deny"));
        assert_eq!(seen.answered("Referrer-Policy").as_deref(), Some("no-referrer, same-origin"));
    }

    #[test]
    fn rejections_carry_them_too() {
        let answer = Err(Reject::new(Kind::Forbidden, "no"));
        let seen = Exchange { answer, ..Exchange::default() }.run(&[link("security-headers", json!({}))]);
        assert_eq!(seen.status(), 403);
        assert_eq!(seen.answered("X-Content-Type-Options").as_deref(), Some("nosniff"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (config, key) in [
            (json!({"strict_transport_security": "includeSubDomains"}), "strict_transport_security"),
            (json!({"strict_transport_security": "max-age=1y"}), "strict_transport_security"),
            (json!({"x_content_type_options": "sniff"}), "x_content_type_options"),
            (json!({"x_frame_options": "ALLOW-FROM https://a"}), "x_frame_options"),
            (json!({"referrer_policy": "never"}), "referrer_policy"),
            (json!({"content_security_policy": " "}), "content_security_policy"),
            (json!({"content_security_policy": "a\nb"}), "content_security_policy"),
            (json!({"permissions_policy": 1}), "permissions_policy"),
            (json!({"hsts": "x"}), "hsts"),
        ] {
            let all = found("security-headers", &config);
            assert_eq!(all.len(), 1, "{config}: {all:?}");
            assert_eq!(all[0].path, format!("config.{key}"), "{all:?}");
        }
    }
}
