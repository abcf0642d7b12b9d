//! Networks as written: `10.0.0.0/8`, or a single address.

use super::from_str;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

/// A network. A single address is a network of one. It derefs to [`IpNet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

const EXPECTED: &str = "a network such as 10.0.0.0/8, or an address";

impl Cidr {
    /// The network as `ipnet` has it.
    #[must_use]
    pub const fn get(self) -> IpNet {
        self.0
    }
}

/// Why a text is not a [`Cidr`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// It is neither a network nor an address.
    #[error("expected {EXPECTED}, found `{0}`")]
    Malformed(String),
    /// It is an address within a network.
    #[error("expected {EXPECTED}, found `{found}`, an address within a network\nhelp: the network is {network}")]
    HostBits {
        /// What was written.
        found: String,
        /// The network that the address is in.
        network: IpNet,
    },
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let malformed = || CidrError::Malformed(text.to_owned());
        if !text.contains('/') {
            let address: IpAddr = text.parse().map_err(|_| malformed())?;
            return Ok(Self(IpNet::from(address)));
        }
        let net: IpNet = text.parse().map_err(|_| malformed())?;
        let network = net.trunc();
        if network == net { Ok(Self(net)) } else { Err(CidrError::HostBits { found: text.to_owned(), network }) }
    }
}

/// A network of one shows as its address.
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Deref for Cidr {
    type Target = IpNet;

    fn deref(&self) -> &IpNet {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_str(deserializer, EXPECTED)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Cidr {
    fn schema_name() -> Cow<'static, str> {
        "Cidr".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A network such as `10.0.0.0/8` or `2001:db8::/32`, or a single address.",
            "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
            "examples": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_shown() {
        for (text, net) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let cidr: Cidr = text.parse().unwrap();
            assert_eq!(cidr.get(), net.parse::<IpNet>().unwrap());
            assert_eq!(cidr.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_says_why() {
        for text in ["", "10.0.0", "10.0.0.0/33", "example.com", "10.0.0.0/", "/8", "10.0.0.256", "::1/129"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Malformed(text.to_owned())), "{text}");
        }
        for (text, network) in [("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32")] {
            let error = text.parse::<Cidr>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("help: the network is {network}")), "{error}");
        }
    }
}
