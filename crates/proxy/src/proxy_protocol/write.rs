//! Writes the PROXY header that a connection to a target begins with.

use std::net::{IpAddr, SocketAddr};

use super::SIGNATURE;

/// The form of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The header for a connection of `client`, who connected to `local`. Without both, it says that they are not known.
pub(crate) fn header(version: Version, client: Option<SocketAddr>, local: Option<SocketAddr>) -> Vec<u8> {
    let ends = client.zip(local).map(|(client, local)| same_family(client, local));
    match version {
        Version::V1 => line(ends).into_bytes(),
        Version::V2 => binary(ends),
    }
}

/// Both in IPv4 if they can be, both in IPv6 otherwise: a header has one family.
fn same_family(client: SocketAddr, local: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (a, b) = (client.ip().to_canonical(), local.ip().to_canonical());
    let form = |ip: IpAddr| match ip {
        IpAddr::V4(v4) if a.is_ipv6() || b.is_ipv6() => v4.to_ipv6_mapped().into(),
        ip => ip,
    };
    (SocketAddr::new(form(a), client.port()), SocketAddr::new(form(b), local.port()))
}

fn line(ends: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((client, local)) = ends else { return "PROXY UNKNOWN\r\n".to_owned() };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", client.ip(), local.ip(), client.port(), local.port())
}

fn binary(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    const PROXY: u8 = 0x21;
    let mut header = SIGNATURE.to_vec();
    header.push(PROXY);
    match ends {
        None => header.extend_from_slice(&[0, 0, 0]),
        Some((client, local)) => {
            let (family, length) = if client.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
            header.extend_from_slice(&[family, 0, length]);
            for ip in [client.ip(), local.ip()] {
                match ip {
                    IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
                }
            }
            header.extend_from_slice(&client.port().to_be_bytes());
            header.extend_from_slice(&local.port().to_be_bytes());
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::super::header::{Source, parse};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (client, local) in [
            ("192.0.2.1:1234", "10.0.0.1:80"),
            ("[2001:db8::1]:1234", "[2001:db8::2]:80"),
            ("[2001:db8::1]:1234", "10.0.0.1:80"),
        ] {
            let (client, local) = (client.parse().unwrap(), local.parse().unwrap());
            for version in [Version::V1, Version::V2] {
                let header = header(version, Some(client), Some(local));
                assert_eq!(parse(&header), Ok(Some((Source::Client(client), header.len()))), "{version:?} {client}");
            }
        }
        for version in [Version::V1, Version::V2] {
            let header = header(version, None, Some("10.0.0.1:80".parse().unwrap()));
            assert_eq!(parse(&header), Ok(Some((Source::Peer, header.len()))));
        }
    }

    #[test]
    fn an_address_of_version_4_within_version_6_is_one_of_version_4() {
        let (client, local) = ("[::ffff:192.0.2.1]:1".parse().unwrap(), "[::ffff:10.0.0.1]:2".parse().unwrap());
        let line = header(Version::V1, Some(client), Some(local));
        assert_eq!(line, b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n");
    }
}
