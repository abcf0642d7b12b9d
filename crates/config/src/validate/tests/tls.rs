use super::{LISTENERS, ROUTES, SERVICES, check, parse};
use crate::service_protocol::ServiceProtocol;
use crate::tls::{AcmeChallenge, ClientAuthMode, TlsVersion};
use std::path::Path;

const CERTIFICATES: &str = "certificates: [{cert: a.crt, key: a.key}]";

#[test]
fn tls_of_a_listener_is_checked() {
    for (tls, expected) in [
        (
            "",
            "2:40 listeners[0].tls: there is no certificate, so no client could connect (add `certificates: [{ cert: api.crt, key: api.key }]`, or `acme`)",
        ),
        ("certificates: [{cert: a.crt}]", "2:56 listeners[0].tls.certificates[0]: missing key `key`"),
        (
            "certificates: [{cert: '', key: a.key}]",
            "2:63 listeners[0].tls.certificates[0].cert: expected the path of a file, found an empty string",
        ),
        (
            "{C}, min_version: '1.1'",
            "2:97 listeners[0].tls.min_version: TLS `1.1` is not spoken (the oldest version that is still safe is \"1.2\")",
        ),
        (
            "{C}, min_version: 1.3",
            "2:97 listeners[0].tls.min_version: expected \"1.2\" or \"1.3\", found the number 1.3 (put the value in quotes to make it a string)",
        ),
        (
            "{C}, client_auth: {mode: required}",
            "2:104 listeners[0].tls.client_auth.mode: there is no `ca` to say whose certificates are taken from clients (add `ca: clients-ca.crt`)",
        ),
        (
            "{C}, client_auth: {mode: off, ca: a.crt}",
            "2:113 listeners[0].tls.client_auth.ca: `ca` does nothing with `mode: off` (write `mode: optional` or `mode: required`)",
        ),
        ("{C}, client_auth: {ca: a.crt}", "2:97 listeners[0].tls.client_auth: missing key `mode`"),
        (
            "{C}, client_auth: {mode: optional, ca: a.crt, crl: ['']}",
            "2:131 listeners[0].tls.client_auth.crl[0]: expected the path of a file, found an empty string",
        ),
    ] {
        let tls = tls.replace("{C}", CERTIFICATES);
        let listeners = format!("listeners:\n- {{name: a, address: '1.1.1.1:1', tls: {{{tls}}}}}\n");
        check(&[&listeners, SERVICES, ROUTES], &[expected]);
    }
    let listeners = format!("listeners:\n- {{name: a, address: 'unix:/run/a', tls: {{{CERTIFICATES}}}}}\n");
    check(&[&listeners, SERVICES, ROUTES], &[]);
}

#[test]
fn settings_of_acme_are_checked() {
    for (tls, expected) in [
        (
            "acme: {domains: []}",
            "2:57 listeners[0].tls.acme.domains: expected at least one name to order a certificate for, found none",
        ),
        (
            "acme: {domains: [a.example, A.example]}",
            "2:69 listeners[0].tls.acme.domains[1]: `A.example` stands in this list twice",
        ),
        (
            "acme: {domains: [a.example], email: ops}",
            "2:77 listeners[0].tls.acme.email: expected an e-mail address, found `ops`",
        ),
        (
            "acme: {domains: [a.example], directory: 'http://ca.example'}",
            "2:81 listeners[0].tls.acme.directory: expected a URL that begins with https://, found `http://ca.example`",
        ),
        (
            "acme: {domains: [a.example], challenge: http-01}",
            "2:81 listeners[0].tls.acme.challenge: no listener is without `tls`, so `http-01` could not be answered (write `challenge: tls-alpn-01`, or add a listener that is reached on port 80)",
        ),
    ] {
        let listeners = format!("listeners:\n- {{name: a, address: '1.1.1.1:1', tls: {{{tls}}}}}\n");
        check(&[&listeners, SERVICES, ROUTES], &[expected]);
    }
    let listeners =
        "listeners:\n- {name: a, address: '1.1.1.1:1', tls: {acme: {domains: [a.example], challenge: http-01}}}\n";
    let clear = "- {name: b, address: '1.1.1.1:2'}\n";
    check(&[listeners, clear, SERVICES, ROUTES], &[]);
}

#[test]
fn tls_goes_with_http_only() {
    for (protocol, service) in [("tcp", ", service: orders"), ("tls-passthrough", "")] {
        let tls = format!("tls: {{{CERTIFICATES}}}");
        let listeners =
            format!("listeners:\n- {{name: a, address: '1.1.1.1:1', protocol: {protocol}{service}, {tls}}}\n");
        let problems = super::problems(&[&listeners, SERVICES, ROUTES].concat());
        let expected = format!("listeners[0].tls: `tls` is not spoken on a listener for `{protocol}`");
        assert!(problems.iter().any(|problem| problem.contains(&expected)), "{problems:?}");
    }
}

#[test]
fn tls_of_a_service_is_checked() {
    for (service, expected) in [
        (
            "url: 'https://a', tls: {cert: a.crt}",
            "4:48 services[0].tls.cert: `cert` needs `key` (add `key`, or leave out both)",
        ),
        (
            "url: 'https://a', tls: {key: a.key}",
            "4:47 services[0].tls.key: `key` needs `cert` (add `cert`, or leave out both)",
        ),
        (
            "url: 'https://a', tls: {ca: ''}",
            "4:46 services[0].tls.ca: expected the path of a file, found an empty string",
        ),
        (
            "url: 'https://a', tls: {server_name: 'https://a'}",
            "4:55 services[0].tls.server_name: expected the name in the service's certificate, such as orders.internal, found `https://a`",
        ),
        (
            "url: 'https://a', tls: {verify: false}",
            "4:50 services[0].tls.verify: the service's certificate is not checked, so anyone on the way can pose as the service (give its authority as `ca` instead)",
        ),
        (
            "url: 'http://a', tls: {ca: a.crt}",
            "4:40 services[0].tls: `tls` does nothing: the service speaks `http`, which is clear text (write `https://` in `url`)",
        ),
        (
            "targets: [{address: 'a:1'}], tls: {ca: a.crt}",
            "4:52 services[0].tls: `tls` does nothing: the service speaks `http`, which is clear text (write `protocol: https`)",
        ),
        (
            "url: 'https://a', protocol: h2c",
            "4:46 services[0].protocol: the scheme of `url` says something else than `h2c` (leave out `protocol`: the scheme says it)",
        ),
        (
            "targets: [{address: 'a:1'}], protocol: ftp",
            "4:57 services[0].protocol: expected `http`, `https`, `h2c`, `grpc` or `grpcs`, found `ftp`",
        ),
    ] {
        let text = format!("services:\n- {{name: orders, {service}}}\n");
        check(&[LISTENERS, &text, ROUTES], &[expected]);
    }
}

#[test]
fn what_was_written_is_what_is_had() {
    let listeners = "listeners:\n- name: a\n  address: '1.1.1.1:1'\n  tls:\n\
                    \x20   certificates: [{cert: a.crt, key: /k/a.key, ocsp: a.ocsp}]\n\
                    \x20   min_version: '1.3'\n\
                    \x20   client_auth: {mode: optional, ca: ca.crt, crl: [a.crl]}\n\
                    \x20   acme: {domains: [A.example]}\n";
    let services = "services:\n- {name: orders, protocol: grpcs, targets: [{address: 'a:1'}], \
                    tls: {ca: ca.crt, server_name: B.internal}}\n";
    let config = parse(&[listeners, services, ROUTES].concat()).config.unwrap();
    let tls = config.listeners[0].tls.as_ref().unwrap();
    let (files, auth, acme) = (&tls.certificates[0], tls.client_auth.as_ref().unwrap(), tls.acme.as_ref().unwrap());
    assert_eq!(files.cert, Path::new("./a.crt"), "it starts at the directory of the config");
    assert_eq!(files.key, Path::new("/k/a.key"));
    assert_eq!(files.ocsp.as_deref(), Some(Path::new("./a.ocsp")));
    assert_eq!((tls.min_version, auth.mode), (TlsVersion::Tls13, ClientAuthMode::Optional));
    assert_eq!((auth.ca.as_deref(), auth.crl[0].as_path()), (Some(Path::new("./ca.crt")), Path::new("./a.crl")));
    assert_eq!((&*acme.domains[0], acme.storage.as_path()), ("a.example", Path::new("././acme")));
    assert_eq!(acme.challenge, AcmeChallenge::TlsAlpn01);
    assert_eq!(acme.directory, "https://acme-v02.api.letsencrypt.org/directory");
    let service = &config.services[0];
    let tls = service.tls.as_ref().unwrap();
    assert_eq!((tls.ca.as_deref(), tls.verify), (Some(Path::new("./ca.crt")), true));
    assert_eq!(tls.server_name.as_deref(), Some("b.internal"));
    assert_eq!(service.speaks(), ServiceProtocol::Grpcs);
    let services = "services:\n- {name: orders, url: 'https://a/x'}\n";
    let config = parse(&[LISTENERS, services, ROUTES].concat()).config.unwrap();
    assert_eq!(config.services[0].speaks(), ServiceProtocol::Https);
    assert_eq!(config.services[0].url.as_ref().unwrap().address.port, 443);
}
