//! Which certificate a client gets.

use crate::certificate::{Certificate, is_for_address};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The protocol that an ACME authority asks for when it wants to be shown a challenge (RFC 8737). A connection that
/// came to speak it is to be closed after the handshake: nothing is said on it.
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// The certificates of a listener by their names. It never changes: a reload makes another one.
#[derive(Default)]
pub(crate) struct Table {
    certificates: Vec<Certificate>,
    /// For a whole name, and for what follows `*.`: the certificates in their order.
    exact: Names,
    wildcard: Names,
    /// For clients that ask for no name, or for one that nobody has: the first certificate, and those that share
    /// its first name, as the RSA one beside the ECDSA one does.
    fallback: Vec<usize>,
    /// Certificates to prove to ACME authorities with that a name is ours.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

type Names = HashMap<Box<str>, Vec<usize>>;

impl Table {
    pub(crate) fn new(certificates: Vec<Certificate>, challenges: HashMap<String, Arc<CertifiedKey>>) -> Self {
        let mut table = Self { certificates, challenges, ..Self::default() };
        for (index, certificate) in table.certificates.iter().enumerate() {
            for name in &certificate.info.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                names.entry(name.into()).or_default().push(index);
            }
        }
        let first = table.certificates.first().map(|first| first.info.names.first());
        let shares = |certificate: &Certificate| match first {
            Some(Some(name)) => certificate.info.names.contains(name),
            Some(None) | None => false,
        };
        let others = table.certificates.iter().enumerate().skip(1).filter(|(_, other)| shares(other));
        table.fallback = first.map(|_| 0).into_iter().chain(others.map(|(index, _)| index)).collect();
        table
    }

    /// The certificates that have a name, the whole name before the wildcard. A wildcard stands for one label.
    fn named(&self, name: &str) -> impl Iterator<Item = usize> + Clone + '_ {
        let exact = self.exact.get(name);
        let wildcard = name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        exact.into_iter().chain(wildcard).flatten().copied()
    }

    /// The certificates that a client may get, in order.
    fn offered(&self, sni: Option<&str>) -> impl Iterator<Item = usize> + Clone + '_ {
        let named = sni.map(|name| self.named(name));
        let is_known = named.clone().into_iter().flatten().next().is_some();
        let fallback: &[usize] = if is_known { &[] } else { &self.fallback };
        named.into_iter().flatten().chain(fallback.iter().copied())
    }

    /// See [`crate::ServerTls::covers`].
    pub(crate) fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if sni == Some(host) {
            return true;
        }
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        // A name has no colon, and its last label does not begin with a digit (RFC 3696 §2).
        let last = bare.rsplit('.').next().unwrap_or(bare);
        if bare.contains(':') || last.starts_with(|c: char| c.is_ascii_digit()) {
            let Ok(address) = bare.parse::<IpAddr>() else { return false };
            return sni.is_none() || self.offered(sni).any(|index| self.is_for_address(index, address));
        }
        self.offered(sni).any(|index| self.named(host).any(|other| other == index))
    }

    fn is_for_address(&self, index: usize, address: IpAddr) -> bool {
        self.certificates.get(index).is_some_and(|certificate| is_for_address(&certificate.key, address))
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub(crate) fn has_challenges(&self) -> bool {
        !self.challenges.is_empty()
    }
}

impl ResolvesServerCert for Table {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // While there are none, such a client finds no protocol in common, which is said more clearly.
        if self.has_challenges() && is_challenge(&hello) {
            // The right one or none: any other would prove nothing.
            return self.challenges.get(hello.server_name()?).cloned();
        }
        let schemes = hello.signature_schemes();
        let offered = self.offered(hello.server_name()).filter_map(|index| self.certificates.get(index));
        let fits = |certificate: &&Certificate| certificate.key.key.choose_scheme(schemes).is_some();
        // With one that does not fit the handshake fails, and with the alert that says why.
        let chosen = offered.clone().find(fits).or_else(|| offered.clone().next());
        chosen.map(|certificate| Arc::clone(&certificate.key))
    }
}

/// RFC 8737 §3: the authority offers `acme-tls/1` and nothing else.
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let Some(mut protocols) = hello.alpn() else { return false };
    protocols.next() == Some(ACME_TLS_ALPN) && protocols.next().is_none()
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.certificates.iter().map(|certificate| &certificate.info.names);
        f.debug_list().entries(names).finish()
    }
}
