//! Configurations that several tests start from.

/// One listener, one service, everything routed to it.
pub(crate) const PLAIN: &str = r#"
workers: 1
listeners:
  - name: web
    address: "{listen}"
services:
  - name: origin
    url: http://{origin}
routes:
  - name: everything
    paths: [/]
    service: origin
"#;

/// [`PLAIN`] with more in the listener and in the service, each a YAML flow mapping's inside.
pub(crate) fn plain_with(limits: &str, timeouts: &str) -> String {
    PLAIN
        .replace("address: \"{listen}\"", &format!("address: \"{{listen}}\"\n    limits: {{ {limits} }}"))
        .replace("url: http://{origin}", &format!("url: http://{{origin}}\n    timeouts: {{ {timeouts} }}"))
}

/// [`PLAIN`] without a route but for one path.
pub(crate) fn routing_only(path: &str) -> String {
    PLAIN.replace("paths: [/]", &format!("paths: [{path}]"))
}
