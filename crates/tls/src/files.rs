//! Reading files of PEM, and collecting what is wrong with them.

use crate::fault::Fault;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::Path;

/// No certificate, and no list of revoked ones that a gateway should hold, is longer.
const LARGEST: u64 = 64 * 1024 * 1024;

/// DER begins with a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// Reads files. What is wrong is kept, and all contents go into one digest.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) faults: Vec<Fault>,
    digest: DefaultHasher,
}

impl Files {
    /// A number that is another one when a file has other contents. It says nothing of them: it is to see changes, of
    /// files that are trusted.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Adds the digest of other files.
    pub(crate) fn add_to_digest(&mut self, digest: u64) {
        self.digest.write_u64(digest);
    }

    pub(crate) fn error(&mut self, setting: &str, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault::error(setting, message, help));
    }

    pub(crate) fn read(&mut self, setting: &str, path: &Path) -> Option<Vec<u8>> {
        let shown = path.display();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        // A file that can't be read is another one than before, too.
        self.digest.write_usize(bytes.len());
        self.digest.write(&bytes);
        match read {
            Err(error) => {
                let help = "give the path of a file that the gateway may read";
                self.error(setting, format!("the file `{shown}` can't be read: {error}"), help);
                None
            }
            Ok(_) if bytes.is_empty() => {
                self.error(setting, format!("the file `{shown}` is empty"), "give the path of another file");
                None
            }
            Ok(_) if bytes.len() as u64 > LARGEST => {
                self.error(setting, format!("the file `{shown}` is larger than 64MiB"), "is it the right one?");
                None
            }
            Ok(_) => Some(bytes),
        }
    }

    /// All certificates of a file, one or more.
    pub(crate) fn certificates(&mut self, setting: &str, path: &Path) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.read(setting, path)?;
        let shown = path.display();
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let (message, help) = match found {
            Ok(certificates) if !certificates.is_empty() => return Some(certificates),
            Err(error) => (not_pem(path, &error), "give the certificates in PEM".to_owned()),
            Ok(_) if bytes.first() == Some(&SEQUENCE) => (
                format!("the file `{shown}` is DER, not PEM"),
                format!("convert it: openssl x509 -inform der -in {shown} -out {shown}.pem"),
            ),
            Ok(_) if contains(&bytes, "PRIVATE KEY-----") => (
                format!("the file `{shown}` has a private key in it, and no certificate"),
                "are `cert` and `key` the wrong way round?".to_owned(),
            ),
            Ok(_) => (
                format!("the file `{shown}` has no certificate in it"),
                "give a file with `-----BEGIN CERTIFICATE-----`".to_owned(),
            ),
        };
        self.error(setting, message, help);
        None
    }

    /// The one private key of a file.
    pub(crate) fn key(&mut self, setting: &str, path: &Path) -> Option<PrivateKeyDer<'static>> {
        let bytes = self.read(setting, path)?;
        let shown = path.display();
        // The second is how OpenSSL wrote them before PKCS #8.
        let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
        let (message, help) = match PrivateKeyDer::from_pem_slice(&bytes) {
            _ if encrypted.iter().any(|sign| contains(&bytes, sign)) => (
                format!("the private key in `{shown}` is encrypted"),
                format!("decrypt it: openssl pkey -in {shown} -out {shown}.plain; only the gateway should read it"),
            ),
            Ok(key) => return Some(key),
            Err(pem::Error::NoItemsFound) if bytes.first() == Some(&SEQUENCE) => (
                format!("the file `{shown}` is DER, not PEM"),
                format!("convert it: openssl pkey -inform der -in {shown} -out {shown}.pem"),
            ),
            Err(pem::Error::NoItemsFound) => (
                format!("the file `{shown}` has no private key in it"),
                "give a file with `-----BEGIN PRIVATE KEY-----`".to_owned(),
            ),
            Err(error) => (not_pem(path, &error), "give the private key in PEM".to_owned()),
        };
        self.error(setting, message, help);
        None
    }

    /// The lists of revoked certificates in a file of PEM, or the one that is a file of DER.
    pub(crate) fn revocations(
        &mut self,
        setting: &str,
        path: &Path,
    ) -> Option<Vec<CertificateRevocationListDer<'static>>> {
        let bytes = self.read(setting, path)?;
        let shown = path.display();
        let found = match bytes.first() {
            Some(&SEQUENCE) => Ok(vec![CertificateRevocationListDer::from(bytes)]),
            _ => CertificateRevocationListDer::pem_slice_iter(&bytes).collect(),
        };
        let help = "give a list in PEM, with `-----BEGIN X509 CRL-----`, or in DER";
        match found {
            Err(error) => self.error(setting, not_pem(path, &error), help),
            Ok(lists) if lists.is_empty() => {
                self.error(setting, format!("the file `{shown}` has no list of revoked certificates in it"), help);
            }
            Ok(lists) => {
                let broken = lists.iter().find_map(|list| webpki::BorrowedCertRevocationList::from_der(list).err());
                let Some(error) = broken else { return Some(lists) };
                self.error(
                    setting,
                    format!("the list of revoked certificates in `{shown}` is not valid: {error}"),
                    help,
                );
            }
        }
        None
    }

    /// A response of an OCSP responder that says something of a certificate.
    pub(crate) fn ocsp(&mut self, setting: &str, path: &Path) -> Option<Vec<u8>> {
        let bytes = self.read(setting, path)?;
        if is_successful_ocsp_response(&bytes) {
            return Some(bytes);
        }
        let message = format!("the file `{}` is no OCSP response that says something", path.display());
        self.error(setting, message, "give one in DER, such as `openssl ocsp -respout` writes; or leave out `ocsp`");
        None
    }
}

fn not_pem(path: &Path, error: &pem::Error) -> String {
    format!("the file `{}` is not valid PEM: {error}", path.display())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// RFC 6960 §4.2.1: a SEQUENCE that begins with `responseStatus successful(0)`, an ENUMERATED, and has more after it.
fn is_successful_ocsp_response(bytes: &[u8]) -> bool {
    let Some((&SEQUENCE, rest)) = bytes.split_first() else { return false };
    let Some((&length, rest)) = rest.split_first() else { return false };
    let (length, content) = match length {
        // The low bits say of how many bytes the length is.
        0x81..=0x83 => {
            let Some((length, content)) = rest.split_at_checked(usize::from(length & 0x7f)) else { return false };
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), content)
        }
        _ => (usize::from(length), rest),
    };
    content.len() == length && content.starts_with(&[0x0a, 0x01, 0x00]) && content.len() > 3
}
