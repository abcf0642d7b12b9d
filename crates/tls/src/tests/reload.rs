use super::support::{Client, Place, der, shown};
use crate::{ClientAuth, ClientAuthMode, ServerTls};
use tollgate_testkit::certificates::Authority;

#[test]
fn a_renewed_certificate_is_served_and_connections_and_sessions_go_on() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test"]])).unwrap();
    let client = place.client();
    let mut open = client.connect(&tls, "a.test").unwrap();
    assert_eq!(tls.reload(), Ok(false), "nothing changed");
    let digest = tls.digest();
    let renewed = place.authority.issue(&["a.test", "b.test"]);
    place.write("0", &renewed);
    assert_eq!(tls.reload(), Ok(true));
    assert_ne!(tls.digest(), digest);
    open.talk();
    assert!(client.connect(&tls, "a.test").unwrap().is_resumed(), "the keys of tickets stay");
    assert_eq!(place.client().connect(&tls, "b.test").unwrap().certificate(), der(&renewed));
    assert!(tls.covers(Some("a.test"), "b.test"));
    let mut settings = tls.settings().clone();
    settings.alpn.clear();
    let after = ServerTls::load_after(settings, &tls).unwrap();
    assert!(client.connect(&after, "a.test").unwrap().is_resumed(), "with other settings, too");
}

#[test]
fn what_is_broken_leaves_the_last_good_one() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test"], &["b.test"]])).unwrap();
    let before = tls.certificates();
    // As it is between the writing of the one file and of the other.
    place.file("0.crt", place.authority.issue(&["a.test"]).cert);
    place.file("1.key", "");
    let faults = shown(&tls.reload().unwrap_err());
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("certificates[0].key: ") && faults[1].starts_with("certificates[1].key: "));
    assert_eq!(tls.certificates(), before);
    place.client().connect(&tls, "a.test").unwrap().talk();
    place.write("0", &place.authority.issue(&["a.test", "c.test"]));
    place.write("1", &place.authority.issue(&["b.test"]));
    assert_eq!(tls.reload(), Ok(true));
    place.client().connect(&tls, "c.test").unwrap();
}

#[test]
fn sessions_end_when_others_are_let_in() {
    let place = Place::new();
    let clients = Authority::new("clients");
    let own = clients.issue(&["client.test"]);
    let mut settings = place.settings(&[&["a.test"]]);
    let ca = Some(place.file("clients.crt", clients.pem()));
    let crl = vec![place.file("clients.crl", clients.revoke(&[]))];
    settings.client_auth = ClientAuth { mode: ClientAuthMode::Required, ca, crl };
    let tls = ServerTls::load(settings).unwrap();
    let client = Client::with(&place.authority, Some(&own), rustls::ALL_VERSIONS);
    client.connect(&tls, "a.test").unwrap();
    assert!(client.connect(&tls, "a.test").unwrap().is_resumed());
    place.file("clients.crl", clients.revoke(&[&own]));
    assert_eq!(tls.reload(), Ok(true));
    let failed = format!("{:?}", client.connect(&tls, "a.test").err().unwrap());
    assert!(failed.contains("Revoked"), "a session must not outlive the revocation: {failed}");
}
