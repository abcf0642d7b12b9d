//! Countries and autonomous systems: how they are written, and what a database calls them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use maxminddb::{LookupResult, PathElement};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use tollgate_core::document::from_str;

/// Something that a database knows of an address.
pub(super) trait Place: Copy + Ord {
    /// The key of its database in `database`.
    const KEY: &'static str;
    /// The key of what is allowed.
    const ALLOW: &'static str;
    /// The key of what is denied.
    const DENY: &'static str;
    /// What its database is about.
    const PLURAL: &'static str;
    /// A word of these stands in the type of a database that knows it.
    const TYPES: &'static [&'static str];
    /// Databases to be had that know it.
    const SUCH_AS: &'static str;

    /// What a database says. A value of another form is none.
    fn find(entry: &LookupResult<'_, Vec<u8>>) -> Option<Self>;
}

/// A country: its two letters by ISO 3166-1, in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Country([u8; 2]);

const A_COUNTRY: &str = "a country's two letters by ISO 3166-1, such as DE";

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        // Codes that no database uses, but that people write: they would never match.
        let help = match upper.as_str() {
            "UK" => "\nhelp: the United Kingdom is `GB`",
            "EU" => "\nhelp: a union has no code; list its countries",
            _ => "",
        };
        match upper.as_bytes() {
            &[a, b] if help.is_empty() && upper.bytes().all(|b| b.is_ascii_uppercase()) => Ok(Self([a, b])),
            _ => Err(format!("expected {A_COUNTRY}, found `{text}`{help}")),
        }
    }
}

impl Place for Country {
    const KEY: &'static str = "country";
    const ALLOW: &'static str = "allow_countries";
    const DENY: &'static str = "deny_countries";
    const PLURAL: &'static str = "countries";
    const TYPES: &'static [&'static str] = &["Country", "City", "Enterprise"];
    const SUCH_AS: &'static str = "GeoLite2-Country, GeoIP2-City or DBIP-Country-Lite";

    fn find(entry: &LookupResult<'_, Vec<u8>>) -> Option<Self> {
        // Where the address is used; if that is not known, where its network is registered.
        let of = |key| entry.decode_path::<&str>(&[PathElement::Key(key), PathElement::Key("iso_code")]);
        let code = of("country").ok().flatten().or_else(|| of("registered_country").ok().flatten());
        code.and_then(|code| code.parse().ok())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_str(deserializer, A_COUNTRY)
    }
}

impl JsonSchema for Country {
    fn schema_name() -> Cow<'static, str> {
        "Country".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A country's two letters by ISO 3166-1, in upper or lower case.",
            "pattern": "^[A-Za-z]{2}$",
            "examples": ["DE", "KP"],
        })
    }
}

/// The number of an autonomous system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asn(u32);

const AN_ASN: &str = "the number of an autonomous system, from 1 to 4294967295, such as 64496 or AS64496";

impl Asn {
    fn checked(number: u64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number > 0).map(Self)
    }
}

impl Place for Asn {
    const KEY: &'static str = "asn";
    const ALLOW: &'static str = "allow_asns";
    const DENY: &'static str = "deny_asns";
    const PLURAL: &'static str = "autonomous systems";
    const TYPES: &'static [&'static str] = &["ASN", "ISP", "Enterprise"];
    const SUCH_AS: &'static str = "GeoLite2-ASN, GeoIP2-ISP or DBIP-ASN-Lite";

    fn find(entry: &LookupResult<'_, Vec<u8>>) -> Option<Self> {
        const NUMBER: PathElement<'static> = PathElement::Key("autonomous_system_number");
        // Databases that know more of an address than its network have it among its traits.
        let among_traits = || entry.decode_path::<u32>(&[PathElement::Key("traits"), NUMBER]);
        let number = entry.decode_path::<u32>(&[NUMBER]).ok().flatten().or_else(|| among_traits().ok().flatten());
        number.map(u64::from).and_then(Self::checked)
    }
}

impl<'de> Deserialize<'de> for Asn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsnVisitor)
    }
}

struct AsnVisitor;

impl Visitor<'_> for AsnVisitor {
    type Value = Asn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(AN_ASN)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Asn, E> {
        let wrong = || E::custom(format_args!("expected {AN_ASN}, found {number}"));
        u64::try_from(number).ok().and_then(Asn::checked).ok_or_else(wrong)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Asn, E> {
        let wrong = || E::custom(format_args!("expected {AN_ASN}, found `{text}`"));
        let prefix = text.get(..2).filter(|prefix| prefix.eq_ignore_ascii_case("AS"));
        let digits = text.get(prefix.map_or(0, str::len)..).unwrap_or_default();
        // `parse` would take a sign.
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        number.and_then(Asn::checked).ok_or_else(wrong)
    }
}

impl JsonSchema for Asn {
    fn schema_name() -> Cow<'static, str> {
        "Asn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The number of an autonomous system: `64496` or `AS64496`.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                { "type": "string", "pattern": "^([Aa][Ss])?[0-9]{1,10}$" },
            ],
            "examples": [64496, "AS64496"],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, I64Deserializer, StrDeserializer};

    use super::*;

    #[test]
    fn countries_are_two_letters_in_any_case() {
        for (text, code) in [("DE", b"DE"), ("kp", b"KP"), ("No", b"NO")] {
            assert_eq!(text.parse(), Ok(Country(*code)));
        }
        for text in ["", "D", "DEU", "D1", "Ä", "é", "d e", "--"] {
            let error = text.parse::<Country>().unwrap_err();
            assert_eq!(error, format!("expected {A_COUNTRY}, found `{text}`"));
        }
        for (text, help) in [("uk", "`GB`"), ("EU", "list its countries")] {
            assert!(text.parse::<Country>().unwrap_err().contains(help), "{text}");
        }
    }

    #[test]
    fn autonomous_systems_are_numbers_with_or_without_letters() {
        let number = |number: i64| {
            let deserializer: I64Deserializer<Error> = number.into_deserializer();
            Asn::deserialize(deserializer).ok()
        };
        let text = |text: &'static str| {
            let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
            Asn::deserialize(deserializer).ok()
        };
        assert_eq!([1, 64496, 4_294_967_295].map(number), [1, 64496, u32::MAX].map(|number| Some(Asn(number))));
        assert_eq!([0, -1, 4_294_967_296, i64::MIN].map(number), [None; 4]);
        assert_eq!(["AS64496", "as64496", "64496"].map(text), [Some(Asn(64496)); 3]);
        let wrong = ["", "AS", "AS0", "AS-1", "AS+1", "AS 1", "AS4294967296", "A1", "éS1", "ASAS1", "1.5"];
        assert_eq!(wrong.map(text), [None; 11]);
    }
}
