//! HTTP/2 on raw frames: for each rule of RFC 9113 (and of HPACK, RFC 7541) what keeps it and what breaks it.
//!
//! Every case has a connection of its own and starts its name with the section that it tests. `TOLLGATE_H2_CASE=text`
//! runs the cases whose names hold that text. `TOLLGATE_H2_PEER=address:port` aims [`a_peer`] at any server that
//! answers every request with 200 and [`case::BODY`], or at a proxy whose origin the test is, at
//! `TOLLGATE_H2_ORIGIN_PORT`. `TOLLGATE_H2_STRICT=1` fails cases that end in a connection error of another code.

mod case;
mod connection;
mod fields;
mod frames;
mod hpack;
mod messages;
mod requests;
mod run;
mod settings;
mod streams;
mod windows;

use std::time::Duration;

use case::{BODY, Case};
use run::{report, run};
use tollgate_testkit::certificates::Authority;
use tollgate_testkit::http2::Http2;
use tollgate_testkit::{Gateway, Origin, PATIENCE};

use crate::tls::Wanted;

const SECTIONS: &[&[Case]] = &[
    connection::CASES,
    streams::CASES,
    frames::CASES,
    settings::CASES,
    windows::CASES,
    messages::CASES,
    fields::CASES,
    requests::CASES,
    hpack::CASES,
];

/// Cases that the gateway fails because the `h2` crate does, each with the reason why that does no harm. One that
/// passes after all must leave the list.
const KNOWN: &[(&str, &str)] = &[
    ("8.1 a pseudo-header field in trailers", "`h2` drops it without a word: it goes nowhere"),
    ("8.1 :status in trailers", "`h2` drops it without a word: it goes nowhere"),
    (
        "8.3.1 a :path with a fragment",
        "the `http` crate cuts the fragment off: nothing decides on it, and it goes nowhere",
    ),
];

/// How long an expectation waits with a server that fails some of them.
const PEER_PATIENCE: Duration = Duration::from_secs(1);

const YAML: &str = "workers: 1
listeners: [{ name: web, address: '{listen}' }]
services: [{ name: origin, url: 'http://{origin}' }]
routes: [{ name: everything, paths: [/], service: origin }]";

#[test]
fn clear_text_with_prior_knowledge() {
    let origin = origin(0);
    let gateway = Gateway::start(YAML, &[&origin]);
    let address = gateway.address();
    report(&run(SECTIONS, &|| Http2::connect(address), Some(&origin), PATIENCE), KNOWN);
}

#[test]
fn over_tls_by_alpn() {
    let origin = origin(0);
    let authority = Authority::new("a");
    let issued = authority.issue(&["a.test"]);
    let yaml = YAML.replace("'{listen}'", "'{listen}', tls: { certificates: [{ cert: a.crt, key: a.key }] }");
    let builder = Gateway::builder(&yaml).file("a.crt", &issued.cert).file("a.key", &issued.key);
    let gateway = builder.origin(&origin).start();
    let address = gateway.address();
    let connect = || {
        let stream = Wanted::new(&authority, "a.test").offering(&[b"h2"]).connect(address);
        let socket = stream.sock.try_clone().expect("a socket can be cloned");
        Http2::over(stream, socket)
    };
    report(&run(SECTIONS, &connect, Some(&origin), PATIENCE), KNOWN);
}

#[test]
#[ignore = "wants a server at TOLLGATE_H2_PEER"]
fn a_peer() {
    let address = std::env::var("TOLLGATE_H2_PEER").expect("TOLLGATE_H2_PEER is an address");
    let address = address.parse().expect("an address with a port");
    let port = std::env::var("TOLLGATE_H2_ORIGIN_PORT").ok();
    let origin = port.map(|port| origin(port.parse().expect("a port")));
    report(&run(SECTIONS, &|| Http2::connect(address), origin.as_ref(), PEER_PATIENCE), &[]);
}

/// Answers every whole request with [`BODY`].
fn origin(port: u16) -> Origin {
    Origin::start_on(port, |exchange| {
        exchange.read_body();
        let body = if exchange.request.method == "HEAD" { "" } else { BODY };
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", BODY.len()));
    })
}

#[test]
fn there_are_at_least_250_cases_each_with_its_section() {
    let mut names: Vec<&str> = SECTIONS.iter().flat_map(|cases| cases.iter()).map(|case| case.name).collect();
    let count = names.len();
    for name in &names {
        let section = name.split(' ').next().unwrap().trim_start_matches("7541-");
        let plain = section.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(plain && section.contains('.'), "{name}: no section");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two cases share a name");
    assert!(count >= 250, "{count} cases");
}
