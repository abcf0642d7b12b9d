//! Certificates of clients.

use super::support::{Client, Failed, Place, der};
use crate::{ClientAuth, ClientAuthMode, ServerTls};
use rustls::Error;
use std::path::PathBuf;
use tollgate_testkit::certificates::{Authority, Issued, Sort};

struct Clients {
    place: Place,
    authority: Authority,
}

impl Clients {
    fn new() -> Self {
        Self { place: Place::new(), authority: Authority::new("clients") }
    }

    fn tls(&self, mode: ClientAuthMode, crl: Vec<PathBuf>) -> std::sync::Arc<ServerTls> {
        let mut settings = self.place.settings(&[&["a.test"]]);
        let ca = Some(self.place.file("clients.crt", self.authority.pem()));
        settings.client_auth = ClientAuth { mode, ca, crl };
        ServerTls::load(settings).unwrap()
    }

    fn connect(&self, tls: &ServerTls, own: Option<&Issued>) -> Result<Option<Vec<u8>>, Failed> {
        let met = Client::with(&self.place.authority, own, rustls::ALL_VERSIONS).connect(tls, "a.test")?;
        Ok(met.server.peer_certificates().map(|chain| chain[0].to_vec()))
    }
}

#[test]
fn a_certificate_is_asked_for_as_the_mode_says() {
    let clients = Clients::new();
    let own = clients.authority.issue(&["client.test"]);
    let foreign = Authority::new("others").issue(&["client.test"]);
    let expired = clients.authority.issue_sort(&["client.test"], Sort::Expired);
    let shown = Some(der(&own).to_vec());
    let tls = clients.tls(ClientAuthMode::Required, Vec::new());
    assert_eq!(clients.connect(&tls, Some(&own)), Ok(shown.clone()));
    assert_eq!(clients.connect(&tls, None), Err(Failed::Server(Error::NoCertificatesPresented)));
    for refused in [&foreign, &expired] {
        assert!(matches!(clients.connect(&tls, Some(refused)), Err(Failed::Server(Error::InvalidCertificate(_)))));
    }
    let tls = clients.tls(ClientAuthMode::Optional, Vec::new());
    assert_eq!(clients.connect(&tls, Some(&own)), Ok(shown));
    assert_eq!(clients.connect(&tls, None), Ok(None));
    assert!(clients.connect(&tls, Some(&expired)).is_err(), "a bad one is no certificate at all");
    let tls = clients.tls(ClientAuthMode::Off, Vec::new());
    assert_eq!(clients.connect(&tls, Some(&own)), Ok(None), "nobody asked");
}

#[test]
fn what_was_revoked_is_refused() {
    let clients = Clients::new();
    let [own, revoked] = [0, 1].map(|_| clients.authority.issue(&["client.test"]));
    let list = clients.place.file("clients.crl", clients.authority.revoke(&[&revoked]));
    let tls = clients.tls(ClientAuthMode::Required, vec![list]);
    assert!(clients.connect(&tls, Some(&own)).is_ok());
    let refused = format!("{:?}", clients.connect(&tls, Some(&revoked)).unwrap_err());
    assert!(refused.contains("Revoked"), "{refused}");
    // A list of another authority says nothing of this one's certificates.
    let other = clients.place.file("other.crl", Authority::new("others").revoke(&[]));
    let tls = clients.tls(ClientAuthMode::Required, vec![other]);
    let refused = format!("{:?}", clients.connect(&tls, Some(&own)).unwrap_err());
    assert!(refused.contains("UnknownRevocationStatus"), "{refused}");
}
