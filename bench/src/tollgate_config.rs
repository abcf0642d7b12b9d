//! Tollgate's configuration for the bench: every default on, and as many routes as asked for.

use std::fmt::Write as _;

/// A configuration with `routes` routes, of which the requests of the bench match `users` (the plain path) and
/// `bytes` (`/bytes/N`). The others are prefixes, templates and exact paths that resemble them.
pub(crate) fn yaml(port: u16, origin: u16, routes: usize) -> String {
    let mut text = format!(
        "listeners:\n  - name: web\n    address: 127.0.0.1:{port}\n\
         services:\n  - name: origin\n    url: http://127.0.0.1:{origin}\n\
         routes:\n\
         \x20 - name: users\n    hosts: [api.example.com]\n    paths: [\"/api/v1/users/{{id}}\"]\n    service: origin\n\
         \x20 - name: bytes\n    hosts: [api.example.com]\n    paths: [\"/bytes\"]\n    service: origin\n"
    );
    for i in 2..routes {
        let path = match i % 10 {
            0..=5 => format!("/api/v1/resource{i}"),
            6..=8 => format!("/api/v1/resource{i}/{{id}}/items"),
            _ => format!("=/api/v1/resource{i}/status"),
        };
        let host = if i % 4 == 0 { "" } else { "    hosts: [api.example.com]\n" };
        let _ = write!(text, "  - name: route{i}\n{host}    paths: [\"{path}\"]\n    service: origin\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::yaml;

    #[test]
    fn the_file_is_what_the_format_asks_for() {
        let text = yaml(8080, 9000, 10);
        assert!(text.starts_with("listeners:\n  - name: web\n    address: 127.0.0.1:8080\nservices:\n"), "{text}");
        assert!(text.contains("routes:\n  - name: users\n    hosts: [api.example.com]\n"), "{text}");
        assert!(text.contains("    paths: [\"/api/v1/users/{id}\"]\n"), "{text}");
        assert_eq!(text.matches("paths:").count(), 10);
    }
}
