//! Services.

use super::support::{Met, Place, handshake, shown};
use crate::{ClientAuth, ClientAuthMode, ClientSettings, ClientTls, ServerTls};
use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error};
use std::sync::Arc;
use tollgate_testkit::certificates::{Authority, Sort};

/// Keeps the OCSP response that came with a certificate.
#[derive(Debug, Default)]
pub(super) struct Stapled(pub(super) Mutex<Vec<u8>>);

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn connect(settings: ClientSettings, target: &str, server: &ServerTls) -> Result<Met, String> {
    let tls = ClientTls::load(settings).map_err(|faults| shown(&faults).join("\n"))?;
    let name = tls.server_name(target).ok_or("no name")?;
    handshake(Arc::clone(tls.config()), name, server).map_err(|failed| format!("{failed:?}"))
}

#[test]
fn the_service_must_prove_its_name() {
    let place = Place::new();
    let server = ServerTls::load(place.settings(&[&["orders.internal", "10.0.0.1"]])).unwrap();
    let ca = Some(place.file("ca.crt", place.authority.pem()));
    let trusting = ClientSettings { ca, alpn: vec![b"h2".to_vec()], ..ClientSettings::default() };
    let met = connect(trusting.clone(), "orders.internal", &server).unwrap();
    assert_eq!(met.alpn(), Some(&b"h2"[..]));
    connect(trusting.clone(), "10.0.0.1", &server).unwrap();
    let refused = connect(trusting.clone(), "other.internal", &server).err().unwrap();
    assert!(refused.contains("NotValidForName"), "{refused}");
    let named = ClientSettings { server_name: Some("orders.internal".to_owned()), ..trusting };
    let met = connect(named, "192.168.7.7", &server).unwrap();
    assert_eq!(met.server.server_name(), Some("orders.internal"));
    let ca = Some(place.file("other.crt", Authority::new("others").pem()));
    let refused =
        connect(ClientSettings { ca, ..ClientSettings::default() }, "orders.internal", &server).err().unwrap();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[test]
fn without_verification_anybody_is_taken() {
    let place = Place::new();
    let mut settings = place.settings(&[]);
    settings.certificates = vec![place.write("a", &place.authority.issue_sort(&["a.test"], Sort::Expired))];
    let server = ServerTls::load(settings).unwrap();
    let careless = ClientSettings { verify: false, ..ClientSettings::default() };
    connect(careless, "b.test", &server).unwrap().talk();
}

#[test]
fn the_gateway_shows_its_certificate_and_resumes_sessions() {
    let place = Place::new();
    let mut settings = place.settings(&[&["a.test"]]);
    let clients = Authority::new("gateways");
    let ca = Some(place.file("gateways.crt", clients.pem()));
    settings.client_auth = ClientAuth { mode: ClientAuthMode::Required, ca, crl: Vec::new() };
    let server = ServerTls::load(settings).unwrap();
    let own = place.write("gw", &clients.issue(&[]));
    let ca = Some(place.file("ca.crt", place.authority.pem()));
    let settings = ClientSettings { ca, cert: Some(own.cert), key: Some(own.key), ..ClientSettings::default() };
    let tls = ClientTls::load(settings).unwrap();
    for is_resumed in [false, true] {
        let name = tls.server_name("a.test").unwrap();
        let mut met = handshake(Arc::clone(tls.config()), name, &server).unwrap();
        assert_eq!(met.is_resumed(), is_resumed);
        assert!(met.server.peer_certificates().is_some());
        met.talk();
    }
    assert_eq!(tls.settings().files().count(), 3);
}

#[test]
fn the_authorities_of_the_system_are_the_default() {
    let loaded = ClientTls::load(ClientSettings::default());
    // Machines without any are told so.
    match loaded {
        Ok(tls) => assert!(tls.server_name("a b").is_none()),
        Err(faults) => assert!(shown(&faults)[0].contains("ca-certificates"), "{faults:?}"),
    }
}

#[test]
fn all_that_is_wrong_is_told() {
    let place = Place::new();
    let (cert, key) = (Some(place.file("a.crt", "nothing")), Some(place.path("missing.key")));
    let ca = Some(place.file("ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    let server_name = Some("a b".to_owned());
    let faults =
        ClientTls::load(ClientSettings { ca, cert, key, server_name, ..ClientSettings::default() }).unwrap_err();
    let settings: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
    assert_eq!(settings, ["server_name", "cert", "key", "ca"]);
    let half = ClientSettings { cert: Some("a.crt".into()), verify: false, ..ClientSettings::default() };
    assert_eq!(shown(&ClientTls::load(half).unwrap_err()), ["cert: `cert` needs `key` (add `key`, or leave out both)"]);
}
