//! `tls:` of a listener, and of a service.

use crate::config::Config;
use crate::text::{shown_as_written, written_as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How a listener speaks TLS. It needs `certificates` or `acme`, and may have both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Its certificates. A client gets the one that has the name it asks for; the first is for all others.
    #[serde(default)]
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken: `"1.2"` or `"1.3"`. Default: `"1.2"`.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Certificates of clients. Default: clients are not asked for any.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Certificates that are ordered and renewed by the ACME protocol, from Let's Encrypt for example.
    #[serde(default)]
    pub acme: Option<Acme>,
}

/// The files of a certificate. Relative paths start at the directory of the config file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate, followed by those that lead to the root: PEM.
    pub cert: PathBuf,
    /// Its private key: PEM, not encrypted.
    pub key: PathBuf,
    /// An OCSP response to staple to it: DER. Default: none.
    #[serde(default)]
    pub ocsp: Option<PathBuf>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What clients must show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAuth {
    /// Whether clients are asked for a certificate. One that is not valid is refused by `optional` as well.
    pub mode: ClientAuthMode,
    /// The authorities whose certificates are taken: a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Lists of certificates that were revoked: PEM or DER files. Default: none.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthMode {
    /// They are not.
    Off,
    /// They are, and may have none.
    Optional,
    /// They are, and without one there is no connection.
    Required,
}

/// Certificates by the ACME protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The names that certificates are ordered for.
    pub domains: Vec<DomainName>,
    /// Where the authority writes to when something is wrong with a certificate.
    #[serde(default)]
    pub email: Option<String>,
    /// The URL of the authority's directory. Default: that of Let's Encrypt.
    #[serde(default = "Acme::default_directory")]
    pub directory: String,
    /// The directory in which the account and the certificates are kept. Default: `./acme`.
    #[serde(default = "Acme::default_storage")]
    pub storage: PathBuf,
    /// How the authority is shown that the names are ours. Default: `tls-alpn-01`, which needs this listener only.
    #[serde(default)]
    pub challenge: AcmeChallenge,
}

impl Acme {
    fn default_directory() -> String {
        "https://acme-v02.api.letsencrypt.org/directory".to_owned()
    }

    fn default_storage() -> PathBuf {
        "./acme".into()
    }
}

/// How an ACME authority is shown that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum AcmeChallenge {
    /// By a file that it fetches over clear text, from a listener that is reached on port 80.
    #[serde(rename = "http-01")]
    Http01,
    /// By a certificate that it is shown on this listener, reached on port 443.
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

/// How a service is spoken to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTls {
    /// The authorities that are trusted, and no others: a PEM file. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the service: a PEM file. Default: none.
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// Its private key: a PEM file, not encrypted.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The name that the service's certificate must have. Default: the host of the target.
    #[serde(default)]
    pub server_name: Option<ServerName>,
    /// Whether the service's certificate is checked. Without that anyone on the way can pose as the service.
    /// Default: true.
    #[serde(default = "yes")]
    pub verify: bool,
}

impl Default for ServiceTls {
    fn default() -> Self {
        Self { ca: None, cert: None, key: None, server_name: None, verify: true }
    }
}

fn yes() -> bool {
    true
}

/// The DNS name of a certificate, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// The name that a server's certificate must have: a DNS name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerName(String);

/// Why a text is not one of the types of this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// It is a version that nobody should speak any more.
    #[error("TLS `{0}` is not spoken\nhelp: the oldest version that is still safe is \"1.2\"")]
    OldVersion(String),
    /// It is no version.
    #[error("expected \"1.2\" or \"1.3\", found `{0}`")]
    Version(String),
    /// It is a wildcard.
    #[error("`{0}` is a wildcard, which neither http-01 nor tls-alpn-01 can prove\nhelp: list the names")]
    Wildcard(String),
    /// It is no DNS name.
    #[error("expected a DNS name such as api.example.com, found `{0}`")]
    Domain(String),
    /// It is neither a DNS name nor an address.
    #[error("expected the name in the service's certificate, such as orders.internal, found `{0}`")]
    ServerName(String),
}

impl FromStr for TlsVersion {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Self, TlsError> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            "1.0" | "1.1" => Err(TlsError::OldVersion(text.to_owned())),
            _ => Err(TlsError::Version(text.to_owned())),
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

impl FromStr for DomainName {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Self, TlsError> {
        if text.starts_with("*.") {
            return Err(TlsError::Wildcard(text.to_owned()));
        }
        // Authorities give no certificates for one label alone, such as `localhost`.
        let sound = is_dns_name(text) && text.contains('.') && text.parse::<IpAddr>().is_err();
        sound.then(|| Self(text.to_ascii_lowercase())).ok_or_else(|| TlsError::Domain(text.to_owned()))
    }
}

impl FromStr for ServerName {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Self, TlsError> {
        let sound = is_dns_name(text) || text.parse::<IpAddr>().is_ok();
        sound.then(|| Self(text.to_ascii_lowercase())).ok_or_else(|| TlsError::ServerName(text.to_owned()))
    }
}

/// Letters, digits, hyphens, and underscores, which names of containers and of services have.
fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let sound = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        sound && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

macro_rules! text_within {
    ($($type:ident)*) => {$(
        impl std::ops::Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_within! { DomainName ServerName }

written_as_text!(TlsVersion, "\"1.2\" or \"1.3\"", { "enum": ["1.2", "1.3"] });
shown_as_written!(TlsVersion);

written_as_text!(DomainName, "a DNS name such as api.example.com", {
    "description": "A DNS name, without a wildcard.",
    "examples": ["api.example.com"],
});

written_as_text!(ServerName, "the name in the service's certificate, such as orders.internal", {
    "examples": ["orders.internal"],
});

impl Config {
    /// The files that TLS of listeners and services is read from.
    pub fn tls_files(&self) -> impl Iterator<Item = &PathBuf> {
        let listeners = self.listeners.iter().filter_map(|listener| listener.tls.as_ref()).flat_map(|tls| {
            let certificates = tls.certificates.iter();
            let certificates = certificates.flat_map(|files| [&files.cert, &files.key].into_iter().chain(&files.ocsp));
            certificates.chain(tls.client_auth.iter().flat_map(|auth| auth.ca.iter().chain(&auth.crl)))
        });
        let services = self.services.iter().filter_map(|service| service.tls.as_ref());
        listeners.chain(services.flat_map(|tls| tls.ca.iter().chain(&tls.cert).chain(&tls.key)))
    }
}

/// Makes the paths of all files of TLS start at the directory of the config file.
pub(crate) fn resolve_files(config: &mut Config, directory: &Path) {
    let listeners = config.listeners.iter_mut().filter_map(|listener| listener.value.tls.as_mut());
    for tls in listeners {
        for files in &mut tls.certificates {
            [Some(&mut files.cert), Some(&mut files.key), files.ocsp.as_mut()].into_iter().flatten().for_each(|path| {
                resolve(path, directory);
            });
        }
        let client_auth = tls.client_auth.iter_mut().flat_map(|auth| auth.ca.iter_mut().chain(&mut auth.crl));
        client_auth.chain(tls.acme.iter_mut().map(|acme| &mut acme.storage)).for_each(|path| resolve(path, directory));
    }
    for tls in config.services.iter_mut().filter_map(|service| service.value.tls.as_mut()) {
        [&mut tls.ca, &mut tls.cert, &mut tls.key].into_iter().flatten().for_each(|path| resolve(path, directory));
    }
}

fn resolve(path: &mut PathBuf, directory: &Path) {
    *path = directory.join(&*path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_names_are_checked() {
        assert_eq!("1.3".parse(), Ok(TlsVersion::Tls13));
        for version in ["1.0", "1.1", "1", "TLSv1.2", ""] {
            assert!(version.parse::<TlsVersion>().is_err(), "{version}");
        }
        assert_eq!(&*"API.Example.com".parse::<DomainName>().unwrap(), "api.example.com");
        for domain in ["", "localhost", "*.example.com", "a..b", "10.0.0.1", "-a.example.com", "a.example.com:443"] {
            assert!(domain.parse::<DomainName>().is_err(), "{domain}");
        }
        for name in ["orders", "orders.internal", "10.0.0.1", "::1", "my_service"] {
            assert_eq!(&*name.parse::<ServerName>().unwrap(), name);
        }
        for name in ["", "https://a", "a:443", "*.internal"] {
            assert!(name.parse::<ServerName>().is_err(), "{name}");
        }
    }
}
