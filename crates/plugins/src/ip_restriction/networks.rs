//! Sets of addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use tollgate_core::document::Cidr;

/// Sets of addresses as sorted ranges that neither overlap nor touch: looked up by binary search.
pub(super) struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    pub(super) fn new(networks: &[Cidr]) -> Self {
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

    pub(super) fn contain(&self, address: IpAddr) -> bool {
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
    use super::*;

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
}
