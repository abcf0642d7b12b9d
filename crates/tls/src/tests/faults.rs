use super::support::{Place, shown};
use crate::{CertificateFiles, ClientAuth, ClientAuthMode, ServerTls};
use std::path::PathBuf;
use tollgate_core::document::{Node, Severity, Value};
use tollgate_testkit::certificates::Sort;

/// What is said of one certificate, with the directory left out.
fn said(place: &Place, files: CertificateFiles) -> Vec<String> {
    let mut settings = place.settings(&[]);
    settings.certificates = vec![files];
    let faults = ServerTls::load(settings).map_or_else(|faults| faults, |tls| tls.warnings());
    let directory = format!("{}/", place.directory.path().display());
    shown(&faults).into_iter().map(|fault| fault.replace(&directory, "")).collect()
}

fn has(place: &Place, files: CertificateFiles, expected: &[&[&str]]) {
    let said = said(place, files);
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, parts) in said.iter().zip(expected) {
        for part in *parts {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
    }
}

#[test]
fn files_that_are_no_certificate_or_no_key_are_told_apart() {
    let place = Place::new();
    let issued = place.authority.issue(&["a.test"]);
    let good = place.write("good", &issued);
    let with_cert = |cert: PathBuf| CertificateFiles { cert, ..good.clone() };
    let with_key = |key: PathBuf| CertificateFiles { key, ..good.clone() };
    let der = super::support::der(&issued).to_vec();
    has(&place, good.clone(), &[]);
    has(&place, with_cert(place.path("missing")), &[&["certificates[0].cert: ", "`missing` can't be read"]]);
    has(&place, with_cert(place.file("empty", "")), &[&["certificates[0].cert: ", "`empty` is empty"]]);
    has(&place, with_cert(place.file("text", "hello")), &[&["`text` has no certificate", "BEGIN CERTIFICATE"]]);
    has(&place, with_cert(place.file("der", &der)), &[&["`der` is DER", "openssl x509 -inform der"]]);
    has(&place, with_cert(good.key.clone()), &[&["has a private key in it", "wrong way round"]]);
    let broken = place.file("broken", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    has(&place, with_cert(broken), &[&["`broken` is not valid PEM"]]);
    let no_der = place.file("noder", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    has(&place, with_cert(no_der), &[&["certificates[0].cert: ", "`noder` can't be used"]]);
    has(&place, with_key(place.path("missing")), &[&["certificates[0].key: ", "`missing` can't be read"]]);
    has(&place, with_key(place.file("text", "hello")), &[&["`text` has no private key", "BEGIN PRIVATE KEY"]]);
    has(&place, with_key(place.file("der", &der)), &[&["`der` is DER", "openssl pkey -inform der"]]);
    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        has(&place, with_key(place.file("secret", encrypted)), &[&["`secret` is encrypted", "openssl pkey -in"]]);
    }
    let odd = place.file("odd", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    has(&place, with_key(odd), &[&["certificates[0].key: ", "`odd` can't be used", "ECDSA"]]);
    let both = CertificateFiles { cert: place.path("x"), key: place.path("y"), ocsp: Some(place.path("z")) };
    has(&place, both, &[&["[0].cert: "], &["[0].key: "], &["[0].ocsp: "]]);
}

#[test]
fn a_certificate_that_does_not_fit_is_told() {
    let place = Place::new();
    let [issued, other] = [&["a.test"], &["b.test"]].map(|names| place.authority.issue(names));
    let good = place.write("good", &issued);
    let key = place.file("other.key", &other.key);
    has(
        &place,
        CertificateFiles { key: key.clone(), ..good.clone() },
        &[&["certificates[0].key: ", "`other.key` does not belong to `good.crt`", "made with"]],
    );
    let cert = place.file("chain.crt", [issued.cert.as_str(), &other.cert].concat());
    has(&place, CertificateFiles { cert, key, ocsp: None }, &[&["a later certificate", "put that one first"]]);
    has(&place, place.write("nameless", &place.authority.issue(&[])), &[&["[0].cert: ", "no `subjectAltName`"]]);
    has(&place, place.write("address", &place.authority.issue(&["10.0.0.1"])), &[]);
    has(&place, place.write("rsa", &place.authority.issue_sort(&["a.test"], Sort::Rsa)), &[]);
}

/// One that nobody renewed must not keep the others from being served.
#[test]
fn a_certificate_out_of_date_is_a_warning() {
    let place = Place::new();
    let expired = place.write("old", &place.authority.issue_sort(&["a.test"], Sort::Expired));
    has(&place, expired.clone(), &[&["certificates[0].cert: ", "`old.crt` expired ", " days ago", "renew it"]]);
    let future = place.write("new", &place.authority.issue_sort(&["a.test"], Sort::Future));
    has(&place, future, &[&["certificates[0].cert: ", "`new.crt` is not valid yet", "clock"]]);
    let mut settings = place.settings(&[&["b.test"]]);
    settings.certificates.push(expired);
    let tls = ServerTls::load(settings).unwrap();
    assert_eq!(tls.warnings()[0].severity, Severity::Warning);
    assert_eq!(tls.warnings()[0].setting, "certificates[1].cert");
    place.client().connect(&tls, "b.test").unwrap();
}

#[test]
fn an_ocsp_response_must_say_something() {
    let place = Place::new();
    let good = place.write("good", &place.authority.issue(&["a.test"]));
    let with = |bytes: &[u8]| CertificateFiles { ocsp: Some(place.file("ocsp", bytes)), ..good.clone() };
    // The last one says tryLater(3).
    for bytes in [&b"-----BEGIN"[..], &[0x30], &[0x30, 0x81], &[0x30, 0x05, 0x0a], &[0x30, 0x03, 0x0a, 0x01, 0x03]] {
        has(&place, with(bytes), &[&["certificates[0].ocsp: ", "`ocsp` is no OCSP response", "respout"]]);
    }
    has(&place, with(&[]), &[&["certificates[0].ocsp: ", "`ocsp` is empty"]]);
    let mut long = vec![0x30, 0x81, 0x83, 0x0a, 0x01, 0x00];
    long.resize(3 + 0x83, 0);
    has(&place, with(&long), &[]);
}

#[test]
fn what_is_wrong_with_the_authorities_of_clients_is_told() {
    let place = Place::new();
    let load = |ca: Option<PathBuf>, crl: Vec<PathBuf>| {
        let mut settings = place.settings(&[&["a.test"]]);
        settings.client_auth = ClientAuth { mode: ClientAuthMode::Required, ca, crl };
        shown(&ServerTls::load(settings).unwrap_err())
    };
    let (empty, ca) = (place.file("none", "no certificate"), place.file("ca", place.authority.pem()));
    let faults = load(Some(empty.clone()), vec![place.path("missing"), empty]);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("client_auth.ca: ") && faults[0].contains("has no certificate in it"));
    assert!(faults[1].starts_with("client_auth.crl[0]: ") && faults[1].contains("can't be read"));
    assert!(faults[2].starts_with("client_auth.crl[1]: ") && faults[2].contains("no list of revoked certificates"));
    let faults = load(Some(ca), vec![place.file("crl", [0x30, 0x00])]);
    assert!(faults[0].starts_with("client_auth.crl[0]: ") && faults[0].contains("is not valid"), "{faults:?}");
    assert!(load(None, Vec::new())[0].contains("there is no `ca`"));
}

#[test]
fn a_fault_becomes_a_problem_of_the_config() {
    let place = Place::new();
    let mut settings = place.settings(&[&["a.test"]]);
    settings.certificates[0].key = place.path("missing");
    let fault = ServerTls::load(settings).unwrap_err().remove(0);
    let problem = fault.clone().into_problem(&Node::new(Value::Null), "listeners[0].tls");
    assert_eq!(problem.path, "listeners[0].tls.certificates[0].key");
    assert!(problem.is_error() && problem.help.is_some());
    let warning = crate::Fault { severity: Severity::Warning, setting: String::new(), ..fault };
    assert_eq!(warning.into_problem(&Node::new(Value::Null), "listeners[0].tls").path, "listeners[0].tls");
}
