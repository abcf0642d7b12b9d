//! Certificates for tests of TLS: an authority, and what it issues.
//!
//! ```
//! use tollgate_testkit::certificates::Authority;
//!
//! let authority = Authority::new("Tollgate tests");
//! let api = authority.issue(&["api.example.com", "*.api.example.com"]);
//! let directory = tempfile::tempdir().unwrap();
//! let (cert, key) = api.write(directory.path(), "api");
//! assert!(cert.ends_with("api.crt") && key.ends_with("api.key"));
//! ```

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, RsaKeySize, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An authority that issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    serial: AtomicU64,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    serial: u64,
}

/// What sort of certificate is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// A sound one, with an ECDSA key.
    #[default]
    Ecdsa,
    /// A sound one, with an RSA key.
    Rsa,
    /// One that was valid until the end of 2020.
    Expired,
    /// One that will be valid from 2090 on.
    Future,
}

impl Authority {
    /// A new authority.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer, serial: AtomicU64::new(1) }
    }

    /// Its own certificate, in PEM: what peers are told to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A sound certificate for these names and addresses.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_sort(names, Sort::Ecdsa)
    }

    /// A certificate of a sort for these names and addresses.
    #[must_use]
    pub fn issue_sort(&self, names: &[&str], sort: Sort) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut params = CertificateParams::new(names).expect("names");
        params.serial_number = Some(SerialNumber::from(serial));
        match sort {
            Sort::Ecdsa | Sort::Rsa => {}
            Sort::Expired => params.not_after = date_time_ymd(2020, 12, 31),
            Sort::Future => params.not_before = date_time_ymd(2090, 1, 1),
        }
        let key = match sort {
            Sort::Rsa => KeyPair::generate_rsa_for(rsa(), RsaKeySize::_2048).expect("a key"),
            Sort::Ecdsa | Sort::Expired | Sort::Future => KeyPair::generate().expect("a key"),
        };
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { cert: certificate.pem(), key: key.serialize_pem(), serial }
    }

    /// The list of the certificates that are revoked, in PEM.
    #[must_use]
    pub fn revoke(&self, revoked: &[&Issued]) -> String {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }
}

impl Issued {
    /// Writes it to `NAME.crt` and `NAME.key` in a directory, and says where they are.
    #[must_use]
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
        fs::write(&cert, &self.cert).expect("a file can be written");
        fs::write(&key, &self.key).expect("a file can be written");
        (cert, key)
    }
}

fn rsa() -> &'static SignatureAlgorithm {
    &rcgen::PKCS_RSA_SHA256
}
