use super::support::{Client, Failed, Place, der};
use crate::{ServerTls, Version};
use rustls::{Error, ProtocolVersion, SignatureScheme};
use tollgate_testkit::certificates::Sort;

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let place = Place::new();
    let [api, any, other] = [&["api.example.com"][..], &["*.example.com", "example.com"], &["other.test"]]
        .map(|names| place.authority.issue(names));
    let mut settings = place.settings(&[]);
    settings.certificates = vec![place.write("api", &api), place.write("any", &any), place.write("other", &other)];
    let tls = ServerTls::load(settings).unwrap();
    let client = place.client();
    for (name, expected) in [
        ("api.example.com", &api),
        ("API.example.com", &api),
        ("www.example.com", &any),
        ("example.com", &any),
        ("other.test", &other),
    ] {
        assert_eq!(client.connect(&tls, name).unwrap().certificate(), der(expected), "{name}");
    }
    // The first is for everybody else; these clients then refuse it, for it has another name.
    for name in ["a.b.example.com", "unknown.test", "10.0.0.1"] {
        let failed = client.connect(&tls, name).err().unwrap();
        let said = format!("{failed:?}");
        assert!(said.contains("NotValidForName") && said.contains("api.example.com"), "{name}: {said}");
    }
}

#[test]
fn rsa_and_ecdsa_stand_side_by_side() {
    let place = Place::new();
    let rsa = place.authority.issue_sort(&["a.test"], Sort::Rsa);
    let ecdsa = place.authority.issue(&["a.test"]);
    for first_is_rsa in [false, true] {
        let mut settings = place.settings(&[]);
        settings.certificates = vec![place.write("ecdsa", &ecdsa), place.write("rsa", &rsa)];
        if first_is_rsa {
            settings.certificates.reverse();
        }
        let tls = ServerTls::load(settings).unwrap();
        let only_rsa = Client::schemes(&place.authority, &[SignatureScheme::RSA_PSS_SHA256]);
        let only_ecdsa = Client::schemes(&place.authority, &[SignatureScheme::ECDSA_NISTP256_SHA256]);
        assert_eq!(only_rsa.connect(&tls, "a.test").unwrap().certificate(), der(&rsa));
        assert_eq!(only_ecdsa.connect(&tls, "a.test").unwrap().certificate(), der(&ecdsa));
        let either = place.client().connect(&tls, "a.test").unwrap().certificate();
        assert_eq!(either, der(if first_is_rsa { &rsa } else { &ecdsa }), "the first that fits");
        // Without a name, too: the second has the name of the first.
        let failed = format!("{:?}", only_rsa.connect(&tls, "10.0.0.1").err().unwrap());
        assert!(failed.contains("NotValidForName"), "a certificate was shown: {failed}");
        let neither = Client::schemes(&place.authority, &[SignatureScheme::ED25519]);
        let failed = format!("{:?}", neither.connect(&tls, "a.test").err().unwrap());
        assert!(failed.contains("NoSignatureSchemesInCommon"), "{failed}");
    }
}

#[test]
fn the_versions_are_1_3_and_1_2_or_1_3_alone() {
    let place = Place::new();
    let mut settings = place.settings(&[&["a.test"]]);
    let old = Client::with(&place.authority, None, &[&rustls::version::TLS12]);
    let tls = ServerTls::load(settings.clone()).unwrap();
    let spoken =
        |client: &Client, tls: &ServerTls| client.connect(tls, "a.test").map(|met| met.server.protocol_version());
    assert_eq!(spoken(&place.client(), &tls), Ok(Some(ProtocolVersion::TLSv1_3)));
    assert_eq!(spoken(&old, &tls), Ok(Some(ProtocolVersion::TLSv1_2)));
    settings.min_version = Version::Tls13;
    let tls = ServerTls::load(settings).unwrap();
    assert_eq!(spoken(&place.client(), &tls), Ok(Some(ProtocolVersion::TLSv1_3)));
    assert!(matches!(spoken(&old, &tls), Err(Failed::Server(Error::PeerIncompatible(_)))));
}

#[test]
fn the_protocol_is_agreed_on_or_the_handshake_fails() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test"]])).unwrap();
    let connect = |protocols: &[&[u8]]| place.client().alpn(protocols).connect(&tls, "a.test");
    assert_eq!(connect(&[b"http/1.1", b"h2"]).unwrap().alpn(), Some(&b"h2"[..]), "ours is the order");
    assert_eq!(connect(&[b"http/1.1"]).unwrap().alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(connect(&[]).unwrap().alpn(), None);
    assert_eq!(connect(&[b"imap"]).err(), Some(Failed::Server(Error::NoApplicationProtocol)));
    assert_eq!(connect(&[b"acme-tls/1"]).err(), Some(Failed::Server(Error::NoApplicationProtocol)));
}

#[test]
fn sessions_are_resumed_and_no_early_data_is_taken() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test"]])).unwrap();
    assert_eq!(tls.config().max_early_data_size, 0);
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let client = Client::with(&place.authority, None, versions);
        assert!(!client.connect(&tls, "a.test").unwrap().is_resumed());
        assert!(client.connect(&tls, "a.test").unwrap().is_resumed());
    }
}

#[test]
fn an_ocsp_response_is_stapled() {
    let place = Place::new();
    let mut settings = place.settings(&[&["a.test"]]);
    // OCSPResponse: successful, and some responseBytes.
    let response = [0x30, 0x07, 0x0a, 0x01, 0x00, 0xa0, 0x02, 0x30, 0x00];
    settings.certificates[0].ocsp = Some(place.file("a.ocsp", response));
    let tls = ServerTls::load(settings).unwrap();
    let stapled = std::sync::Arc::new(super::client::Stapled::default());
    let mut client = place.client();
    client.0.dangerous().set_certificate_verifier(stapled.clone());
    client.connect(&tls, "a.test").unwrap();
    assert_eq!(*stapled.0.lock(), response);
}

#[test]
fn a_connection_may_carry_what_its_certificate_is_for() {
    let place = Place::new();
    let names: &[&[&str]] = &[
        &["api.example.com", "shop.example.com"],
        &["*.example.org", "example.org", "10.0.0.1", "fd00::1"],
        &["api.example.com"],
    ];
    let tls = ServerTls::load(place.settings(names)).unwrap();
    for (sni, host, expected) in [
        (Some("api.example.com"), "api.example.com", true),
        (Some("api.example.com"), "api.example.com.", true),
        (Some("api.example.com"), "shop.example.com", true),
        (Some("api.example.com"), "example.org", false),
        (Some("api.example.com"), "unknown.test", false),
        (Some("example.org"), "a.example.org", true),
        (Some("x.example.org"), "example.org", true),
        (Some("x.example.org"), "a.b.example.org", false),
        (Some("x.example.org"), "api.example.com", false),
        (Some("x.example.org"), "10.0.0.1", true),
        (Some("x.example.org"), "10.0.0.2", false),
        (Some("x.example.org"), "[fd00::1]", true),
        (Some("api.example.com"), "10.0.0.1", false),
        // The default certificate was shown, but the name is the one that was connected to.
        (Some("unknown.test"), "unknown.test", true),
        (Some("unknown.test"), "api.example.com", true),
        (Some("unknown.test"), "example.org", false),
        (None, "api.example.com", true),
        (None, "shop.example.com", true),
        (None, "example.org", false),
        (None, "192.168.0.1", true),
        (None, "[::1]", true),
        (None, "1.2.3", false),
    ] {
        assert_eq!(tls.covers(sni, host), expected, "{sni:?} {host}");
    }
}

#[test]
fn what_is_in_use_is_told() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test", "*.a.test"], &["10.0.0.1"]])).unwrap();
    let certificates = tls.certificates();
    assert_eq!(certificates[0].names, ["a.test", "*.a.test"]);
    assert!(certificates[1].names.is_empty());
    // As rcgen makes them: 1975 to 4096.
    assert_eq!((certificates[0].not_before, certificates[0].not_after), (157_766_400, 67_090_118_400));
    assert_eq!(tls.files().count(), 4);
    let shown = format!("{tls:?}");
    assert!(shown.contains("a.test") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn who_is_turned_away_is_told_why() {
    let place = Place::new();
    let tls = ServerTls::load(place.settings(&[&["a.test"]])).unwrap();
    let stranger = Client::trusting(&tollgate_testkit::certificates::Authority::new("others"));
    assert!(matches!(stranger.connect(&tls, "a.test").err(), Some(Failed::Client(Error::InvalidCertificate(_)))));
    // Nobody has a certificate to show.
    let bare = ServerTls::load(place.settings(&[])).unwrap();
    let failed = place.client().connect(&bare, "a.test").err().unwrap();
    assert!(matches!(failed, Failed::Server(Error::General(_))), "{failed:?}");
}
