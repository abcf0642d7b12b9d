use super::support::{Failed, Place, certified, der};
use crate::{ACME_TLS_ALPN, ServerTls};
use rustls::Error;
use std::sync::Arc;

#[test]
fn a_challenge_is_shown_to_whoever_asks_for_it_alone() {
    let place = Place::new();
    let own = place.authority.issue(&["a.test"]);
    let mut settings = place.settings(&[]);
    settings.certificates = vec![place.write("a", &own)];
    let tls = ServerTls::load(settings).unwrap();
    let challenge = place.authority.issue(&["a.test"]);
    tls.add_challenge("A.test", Arc::new(certified(&challenge)));
    let authority = place.client().alpn(&[ACME_TLS_ALPN]);
    let met = authority.connect(&tls, "a.test").unwrap();
    assert_eq!((met.certificate(), met.alpn()), (der(&challenge), Some(ACME_TLS_ALPN)));
    assert!(matches!(authority.connect(&tls, "b.test").err(), Some(Failed::Server(_))), "no other proves it");
    for protocols in [&[&b"http/1.1"[..]][..], &[ACME_TLS_ALPN, b"http/1.1"]] {
        let met = place.client().alpn(protocols).connect(&tls, "a.test").unwrap();
        assert_eq!((met.certificate(), met.alpn()), (der(&own), Some(&b"http/1.1"[..])));
    }
    tls.remove_challenge("a.test");
    assert_eq!(authority.connect(&tls, "a.test").err(), Some(Failed::Server(Error::NoApplicationProtocol)));
}

#[test]
fn a_certificate_is_served_as_soon_as_it_came_and_is_not_lost() {
    let place = Place::new();
    let mut settings = place.settings(&[]);
    let tls = ServerTls::load(settings.clone()).unwrap();
    assert!(place.client().connect(&tls, "a.test").is_err(), "there is none yet");
    let [first, second] = [0, 1].map(|_| place.authority.issue(&["a.test"]));
    for issued in [&first, &second] {
        tls.set_acme_certificate("a.test", certified(issued)).unwrap();
        assert_eq!(place.client().connect(&tls, "a.test").unwrap().certificate(), der(issued));
    }
    assert_eq!(tls.certificates().len(), 1);
    let fault = tls.set_acme_certificate("a.test", certified(&place.authority.issue(&[]))).unwrap_err();
    assert!(fault.to_string().contains("subjectAltName"), "{fault}");
    settings.certificates = vec![place.write("b", &place.authority.issue(&["b.test"]))];
    let after = ServerTls::load_after(settings, &tls).unwrap();
    assert_eq!(place.client().connect(&after, "a.test").unwrap().certificate(), der(&second));
    assert!(place.client().connect(&after, "b.test").is_ok());
    place.write("b", &place.authority.issue(&["b.test", "c.test"]));
    assert_eq!(after.reload(), Ok(true));
    assert_eq!(place.client().connect(&after, "a.test").unwrap().certificate(), der(&second));
}
