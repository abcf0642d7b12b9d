//! The gateway's config: `examples/demo.yaml`, with the ports that are in use this time.

use super::services::Addresses;

/// What the config is called in messages.
pub(crate) const FILE: &str = "examples/demo.yaml";

const TEXT: &str = include_str!("../../../../examples/demo.yaml");

/// What stands before every port in the config.
const HOST: &str = "127.0.0.1:";

/// The config for a gateway on `port` with its admin API on any free port.
///
/// The text is changed, rather than what it is read to, so that the admin API's `/config` shows the true addresses.
pub(crate) fn text(port: u16, services: &Addresses) -> String {
    fill(&[
        ("8080", port),
        ("9901", 0),
        ("9001", services.orders.port()),
        ("9002", services.users.port()),
        ("9003", services.catalog[0].port()),
        ("9004", services.catalog[1].port()),
    ])
}

/// Replaces ports in one pass, for a new port may be another one's old port.
fn fill(ports: &[(&str, u16)]) -> String {
    let mut pieces = TEXT.split(HOST);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(HOST);
        let replaced = ports.iter().find_map(|(old, new)| Some((new, piece.strip_prefix(old)?)));
        match replaced {
            Some((new, rest)) => {
                text.push_str(&new.to_string());
                text.push_str(rest);
            }
            None => text.push_str(piece),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{self, Before};
    use tollgate_core::metrics::Metrics;

    #[test]
    fn the_config_has_no_problems() {
        let loaded = tollgate_config::parse(TEXT, FILE);
        let (loaded, compiled) = compile::finish(loaded, &Metrics::new(1), &Before::default());
        assert_eq!(loaded.problems, []);
        assert!(compiled.is_some());
    }

    #[test]
    fn ports_are_replaced_in_one_pass() {
        let text = fill(&[("9001", 9002), ("9002", 9001)]);
        assert!(text.contains("http://127.0.0.1:9002/internal/orders"));
        assert!(text.contains("http://127.0.0.1:9001/users"));
        assert!(text.contains("address: 127.0.0.1:8080"));
    }
}
