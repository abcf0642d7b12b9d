//! A certificate with its key, and what has to be known of it.

use crate::fault::Fault;
use crate::files::Files;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};

/// What is to be known of a certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The DNS names that it is for, in lower case, wildcards among them.
    pub names: Vec<String>,
    /// The second since 1970 from which it is valid.
    pub not_before: u64,
    /// The last second since 1970 in which it is valid.
    pub not_after: u64,
}

/// A certificate that can be shown to a peer.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) info: Arc<CertificateInfo>,
}

impl Certificate {
    /// A certificate of a server.
    ///
    /// # Errors
    /// It cannot be read, or it has no names.
    pub(crate) fn of_server(key: CertifiedKey) -> Result<Self, String> {
        let info = match key.cert.first() {
            Some(certificate) => info(certificate)?,
            None => return Err("there is no certificate".to_owned()),
        };
        Ok(Self { key: Arc::new(key), info: Arc::new(info) })
    }

    /// What makes it useless today, if anything does.
    pub(crate) fn out_of_date(&self, setting: &str, path: &Path) -> Option<Fault> {
        let (now, shown) = (UnixTime::now().as_secs(), path.display());
        let help = "renew it: clients will refuse the connection";
        if now > self.info.not_after {
            let ago = match (now - self.info.not_after) / 86_400 {
                0 => "less than a day ago".to_owned(),
                1 => "yesterday".to_owned(),
                days => format!("{days} days ago"),
            };
            return Some(Fault::warning(setting, format!("the certificate in `{shown}` expired {ago}"), help));
        }
        if now < self.info.not_before {
            let message = format!("the certificate in `{shown}` is not valid yet");
            return Some(Fault::warning(setting, message, "is the clock of this machine right?"));
        }
        None
    }
}

/// Reads a certificate and its key, which must belong together. `setting` is the path of the two settings.
pub(crate) fn read_pair(
    files: &mut Files,
    provider: &CryptoProvider,
    (cert_setting, cert): (&str, &Path),
    (key_setting, key): (&str, &Path),
) -> Option<CertifiedKey> {
    // Both, so that what is wrong with either is told.
    let (chain, private) = (files.certificates(cert_setting, cert), files.key(key_setting, key));
    let (chain, private) = (chain?, private?);
    let private = match provider.key_provider.load_private_key(private) {
        Ok(private) => private,
        Err(error) => {
            let message = format!("the private key in `{}` can't be used: {error}", key.display());
            files.error(key_setting, message, "use an ECDSA key (P-256, P-384 or P-521), an Ed25519 or an RSA one");
            return None;
        }
    };
    let pair = CertifiedKey::new(chain, private);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Some(pair),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let message = format!("the private key in `{}` does not belong to `{}`", key.display(), cert.display());
            let help = match belongs_to_a_later_one(&pair) {
                true => "it belongs to a later certificate in that file: put that one first",
                false => "give the key that the certificate was made with",
            };
            files.error(key_setting, message, help);
            None
        }
        Err(error) => {
            files.error(cert_setting, unreadable(cert, &error.to_string()), NEW_ONE);
            None
        }
    }
}

const NEW_ONE: &str = "make a certificate of X.509 version 3 with `subjectAltName`";

/// What is said of a certificate that cannot be served.
pub(crate) fn unreadable(path: &Path, reason: &str) -> String {
    format!("the certificate in `{}` can't be used: {reason}", path.display())
}

/// Adds the fault that a certificate has no use for a server.
pub(crate) fn not_of_server(files: &mut Files, setting: &str, path: &Path, reason: &str) {
    files.error(setting, unreadable(path, reason), NEW_ONE);
}

fn belongs_to_a_later_one(pair: &CertifiedKey) -> bool {
    let Some(public) = pair.key.public_key() else { return false };
    let same =
        |certificate| EndEntityCert::try_from(certificate).is_ok_and(|it| *it.subject_public_key_info() == *public);
    pair.cert.iter().skip(1).any(same)
}

fn info(certificate: &CertificateDer<'_>) -> Result<CertificateInfo, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| match error {
        webpki::Error::UnsupportedCertVersion => "it is of version 1 and has no `subjectAltName`".to_owned(),
        error => error.to_string(),
    })?;
    let names: Vec<String> = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    if names.is_empty() && !has_names(&parsed) {
        return Err("it has no `subjectAltName`, so no client takes it for any name".to_owned());
    }
    let (not_before, not_after) = validity(&parsed).ok_or("the time of its validity can't be read")?;
    Ok(CertificateInfo { names, not_before, not_after })
}

/// Whether a certificate is for names of any kind, addresses among them.
fn has_names(certificate: &EndEntityCert<'_>) -> bool {
    let any = ServerName::from(IpAddr::from([0, 0, 0, 0]));
    match certificate.verify_is_valid_for_subject_name(&any) {
        Err(webpki::Error::CertNotValidForName(context)) => !context.presented.is_empty(),
        Err(_) => false,
        Ok(()) => true,
    }
}

/// Whether a certificate is for an address.
pub(crate) fn is_for_address(key: &CertifiedKey, address: IpAddr) -> bool {
    let parsed = key.cert.first().and_then(|certificate| EndEntityCert::try_from(certificate).ok());
    parsed.is_some_and(|it| it.verify_is_valid_for_subject_name(&ServerName::from(address)).is_ok())
}

/// The first and the last second in which a certificate is valid. webpki tells them only by what it complains of: it
/// looks at the time before anything else, so it is asked for 1970 and for the year 10000.
fn validity(certificate: &EndEntityCert<'_>) -> Option<(u64, u64)> {
    let complaint = |secs| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(secs));
        certificate.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
    };
    let not_before = match complaint(0)? {
        webpki::Error::CertNotValidYet { not_before, .. } => not_before.as_secs(),
        // Valid since before 1970; or not valid ever, which the other end tells.
        _ => 0,
    };
    match complaint(253_402_300_800)? {
        webpki::Error::CertExpired { not_after, .. } => Some((not_before, not_after.as_secs())),
        _ => None,
    }
}
