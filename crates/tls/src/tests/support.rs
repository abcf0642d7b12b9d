//! A directory with certificates, and handshakes in memory.

use crate::{CertificateFiles, Fault, ServerTls, Settings, provider};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tollgate_testkit::certificates::{Authority, Issued};

pub(super) struct Place {
    pub(super) directory: TempDir,
    pub(super) authority: Authority,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), authority: Authority::new("servers") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub(super) fn write(&self, name: &str, issued: &Issued) -> CertificateFiles {
        let (cert, key) = issued.write(self.directory.path(), name);
        CertificateFiles { cert, key, ocsp: None }
    }

    /// Settings with a certificate for each list of names.
    pub(super) fn settings(&self, names: &[&[&str]]) -> Settings {
        let write = |(index, names): (usize, &&[&str])| self.write(&index.to_string(), &self.authority.issue(names));
        let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Settings { certificates: names.iter().enumerate().map(write).collect(), alpn, ..Settings::default() }
    }

    pub(super) fn client(&self) -> Client {
        Client::trusting(&self.authority)
    }
}

/// The settings of a client.
#[derive(Clone)]
pub(super) struct Client(pub(super) ClientConfig);

impl Client {
    pub(super) fn trusting(authority: &Authority) -> Self {
        Self::with(authority, None, rustls::ALL_VERSIONS)
    }

    pub(super) fn with(
        authority: &Authority,
        own: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        Self(match own {
            Some(own) => {
                let certified = certified(own);
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(certified.cert, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }

    pub(super) fn alpn(mut self, protocols: &[&[u8]]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self
    }

    /// A client that can check signatures by these schemes only.
    pub(super) fn schemes(authority: &Authority, schemes: &[SignatureScheme]) -> Self {
        let mut only = (*provider()).clone();
        let mapping = only.signature_verification_algorithms.mapping;
        let kept: Vec<_> = mapping.iter().filter(|(scheme, _)| schemes.contains(scheme)).copied().collect();
        only.signature_verification_algorithms.mapping = Vec::leak(kept);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        // The chain is checked by all algorithms: the authority's own key is ECDSA.
        let whole = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(only.clone()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let verifier = Arc::new(Narrow { whole, only: only.signature_verification_algorithms.supported_schemes() });
        Self(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }

    pub(super) fn connect(&self, server: &ServerTls, name: &str) -> Result<Met, Failed> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        handshake(Arc::new(self.0.clone()), name, server)
    }
}

/// Offers some schemes of signatures only.
#[derive(Debug)]
struct Narrow {
    whole: Arc<WebPkiServerVerifier>,
    only: Vec<SignatureScheme>,
}

impl rustls::client::danger::ServerCertVerifier for Narrow {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, Error> {
        self.whole.verify_server_cert(end_entity, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.whole.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.whole.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.only.clone()
    }
}

/// Two that shook hands.
pub(super) struct Met {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

/// Who gave up, and why.
#[derive(Debug, PartialEq)]
pub(super) enum Failed {
    Client(Error),
    Server(Error),
}

impl Met {
    /// The certificate that the server showed.
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.client.peer_certificates().unwrap()[0].clone()
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.server.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.server.alpn_protocol()
    }

    /// Says a word each way.
    pub(super) fn talk(&mut self) {
        use std::io::{Read, Write};
        self.client.writer().write_all(b"hello").unwrap();
        pass(&mut self.client, &mut self.server).unwrap();
        let mut word = [0; 5];
        self.server.reader().read_exact(&mut word).unwrap();
        self.server.writer().write_all(&word).unwrap();
        pass(&mut self.server, &mut self.client).unwrap();
        self.client.reader().read_exact(&mut word).unwrap();
        assert_eq!(&word, b"hello");
    }
}

pub(super) fn handshake(
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    server: &ServerTls,
) -> Result<Met, Failed> {
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server.config()).unwrap();
    // Once more than it takes, for tickets and for certificates of clients that are refused late.
    for _ in 0..4 {
        pass(&mut client, &mut server).map_err(Failed::Server)?;
        pass(&mut server, &mut client).map_err(Failed::Client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Met { client, server })
}

fn pass<A, B>(from: &mut A, to: &mut B) -> Result<(), Error>
where
    A: Talks,
    B: Talks,
{
    let mut bytes = Vec::new();
    from.write(&mut bytes);
    to.read(&bytes)
}

/// What both kinds of connections can do.
pub(super) trait Talks {
    fn write(&mut self, bytes: &mut Vec<u8>);
    fn read(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

macro_rules! either {
    ($($type:ty)*) => {$(
        impl Talks for $type {
            fn write(&mut self, bytes: &mut Vec<u8>) {
                while self.wants_write() {
                    self.write_tls(bytes).unwrap();
                }
            }

            fn read(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
                while !bytes.is_empty() {
                    self.read_tls(&mut bytes).unwrap();
                    self.process_new_packets()?;
                }
                Ok(())
            }
        }
    )*};
}

either! { ClientConnection ServerConnection }

pub(super) fn certified(issued: &Issued) -> CertifiedKey {
    let cert = CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    CertifiedKey::from_der(vec![cert], key, &provider()).unwrap()
}

/// The certificate of an [`Issued`].
pub(super) fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()
}

pub(super) fn shown(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}
