//! `ip-restriction`: who may come, by address.
//!
//! ```yaml
//! plugins:
//!   - name: ip-restriction
//!     config:
//!       allow: [10.0.0.0/8, 2001:db8::/32]
//!       deny: [10.6.6.6]
//! ```
//! An address in `deny` is refused even if it is in `allow`; with a non-empty `allow` every other address is refused.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_core::document::{Cidr, Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Kind, Reject, Request};

use crate::entry::{Definition, not_built, unless};

/// Who may come, by address. At least one of the lists is needed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ip-restriction")]
pub(crate) struct Config {
    /// Networks and addresses that may come; all others may not. Empty: everyone who is not in `deny`.
    allow: Vec<Cidr>,
    /// Networks and addresses that may not come, even if they are in `allow`.
    deny: Vec<Cidr>,
    #[schemars(skip)]
    allow_countries: IgnoredAny,
    #[schemars(skip)]
    deny_countries: IgnoredAny,
    #[schemars(skip)]
    allow_asns: IgnoredAny,
    #[schemars(skip)]
    deny_asns: IgnoredAny,
    #[schemars(skip)]
    database: IgnoredAny,
}

/// The plugin as run.
pub(crate) struct IpRestriction {
    /// `None`: everyone.
    allow: Option<Networks>,
    deny: Networks,
}

impl Definition for IpRestriction {
    const NAME: &'static str = "ip-restriction";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let later = ["allow_countries", "deny_countries", "allow_asns", "deny_asns", "database"];
        let mut problems: Vec<_> = not_built(raw, &later).collect();
        if problems.is_empty() && config.allow.is_empty() && config.deny.is_empty() {
            let help = "to refuse everyone, write `deny: [0.0.0.0/0, \"::/0\"]`".to_owned();
            problems.push(raw.problem("", "at least one address is needed in `allow` or `deny`", Some(help)));
        }
        let allow = (!config.allow.is_empty()).then(|| Networks::new(&config.allow));
        unless(problems, Self { allow, deny: Networks::new(&config.deny) })
    }
}

impl IpRestriction {
    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !self.deny.contain(address) && self.allow.as_ref().is_none_or(|allow| allow.contain(address))
    }
}

impl Plugin for IpRestriction {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        if self.admits(cx.client_ip) {
            return Ok(next.run(cx, request).await);
        }
        // `request-id` runs after this plugin, but the answer and the log shall have an id all the same.
        crate::request_id::assign(cx);
        Err(Reject::new(Kind::Forbidden, "Your address is not allowed to use this API."))
    }
}

/// Sets of addresses as sorted ranges that neither overlap nor touch: looked up by binary search.
struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    fn new(networks: &[Cidr]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.get() {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => {
                    let (first, last) = (net.network(), net.broadcast());
                    // An IPv4 client on a socket for both shows as ::ffff:a.b.c.d, and is looked up as a.b.c.d.
                    match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                        (Some(first), Some(last)) => v4.push((first.to_bits(), last.to_bits())),
                        _ => v6.push((first.to_bits(), last.to_bits())),
                    }
                }
            }
        }
        Self { v4: merged(v4, |end| end.checked_add(1)), v6: merged(v6, |end| end.checked_add(1)) }
    }

    fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => within(&self.v6, address.to_bits()),
        }
    }
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, after: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some((_, last)) if after(*last).is_none_or(|next| start <= next) => *last = end.max(*last),
            _ => merged.push((start, end)),
        }
    }
    merged.shrink_to_fit();
    merged
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let starting_before = ranges.partition_point(|(start, _)| *start <= address);
    starting_before.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|(_, end)| address <= *end)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::testing::{Exchange, Seen, link, problems};

    fn from(client: &'static str, config: Json) -> Seen {
        Exchange { client, ..Exchange::default() }.run(&[link("ip-restriction", config)])
    }

    #[test]
    fn addresses_are_let_in_or_not() {
        let both = json!({"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.6.0.0/16", "2001:db8::1"]});
        for (client, config, status) in [
            ("10.1.2.3", both.clone(), 200),
            ("10.6.2.3", both.clone(), 403),
            ("11.0.0.1", both.clone(), 403),
            ("2001:db8::2", both.clone(), 200),
            ("2001:db8::1", both.clone(), 403),
            ("::ffff:10.1.2.3", both.clone(), 200),
            ("::ffff:10.6.2.3", both, 403),
            ("11.0.0.1", json!({"deny": ["10.0.0.0/8"]}), 200),
            ("10.0.0.1", json!({"deny": ["10.0.0.0/8"]}), 403),
            ("10.0.0.1", json!({"deny": ["::ffff:10.0.0.0/104"]}), 403),
            ("11.0.0.1", json!({"deny": ["::ffff:10.0.0.0/104"]}), 200),
            ("10.0.0.1", json!({"deny": ["::/0"]}), 200),
            ("::ffff:10.0.0.1", json!({"deny": ["::/0"]}), 200),
            ("ffff::1", json!({"deny": ["::/0"]}), 403),
            ("255.255.255.255", json!({"allow": ["0.0.0.0/0"]}), 200),
            ("ffff::1", json!({"allow": ["0.0.0.0/0"]}), 403),
        ] {
            let seen = from(client, config.clone());
            assert_eq!(seen.status(), status, "{client} with {config}");
            assert_eq!(seen.request.is_some(), status == 200, "{client} with {config}");
        }
    }

    #[test]
    fn the_refusal_says_who_and_why() {
        let seen = from("10.0.0.1", json!({"deny": ["10.0.0.1"]}));
        assert_eq!(seen.answered_by, Some("ip-restriction"));
        let body: Json = serde_json::from_str(seen.text()).unwrap();
        assert_eq!(body["type"], "https://tollgate.dev/problems/forbidden");
        assert_eq!(body["request_id"].as_str().map(str::len), Some(36), "though request-id runs later");
        assert!(!seen.text().contains("10.0.0.1"));
    }

    #[test]
    fn ten_thousand_networks_become_what_they_cover() {
        let every_other: Vec<Cidr> =
            (0..10_000u32).map(|n| format!("10.{}.{}.0/25", n / 256, n % 256).parse().unwrap()).collect();
        let networks = Networks::new(&every_other);
        assert_eq!(networks.v4.len(), 10_000);
        for n in 0..10_000u32 {
            let start = (10 << 24) | (n << 8);
            assert!(within(&networks.v4, start) && within(&networks.v4, start + 127));
            assert!(!within(&networks.v4, start + 128) && !within(&networks.v4, start.wrapping_sub(1)));
        }
        let touching: Vec<Cidr> = (0..256u32).rev().map(|n| format!("10.0.{n}.0/24").parse().unwrap()).collect();
        assert_eq!(Networks::new(&touching).v4, [(10 << 24, (10 << 24) + 0xffff)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            problems("ip-restriction", json!({})),
            ["at least one address is needed in `allow` or `deny` \
                 (to refuse everyone, write `deny: [0.0.0.0/0, \"::/0\"]`)"]
        );
        for key in ["allow_countries", "deny_countries", "allow_asns", "deny_asns", "database"] {
            let all = problems("ip-restriction", json!({key: ["KP"]}));
            assert_eq!(all.len(), 1);
            assert!(all[0].contains("not built yet"), "{all:?}");
        }
        assert_eq!(problems("ip-restriction", json!({"alow": ["10.0.0.0/8"]})).len(), 1);
        let all = problems("ip-restriction", json!({"allow": ["10.0.0.1/8", "x"]}));
        assert_eq!(all.len(), 2, "both at once: {all:?}");
    }
}
