//! TLS with clients and with services.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tollgate_testkit::certificates::{Authority, Issued};
use tollgate_testkit::{Gateway, Origin, PATIENCE, eventually};

/// A client's end of TLS.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Versions of TLS that a client speaks.
type Versions = &'static [&'static SupportedProtocolVersion];
static ONLY_1_2: Versions = &[&TLS12];
static ONLY_1_3: Versions = &[&TLS13];
static BOTH: Versions = &[&TLS13, &TLS12];

/// What a client of TLS wants.
pub(crate) struct Wanted<'a> {
    authority: &'a Authority,
    name: &'static str,
    alpn: &'a [&'a [u8]],
    versions: Versions,
    own: Option<&'a Issued>,
}

impl<'a> Wanted<'a> {
    /// A client that trusts `authority` and asks for `name`.
    pub(crate) fn new(authority: &'a Authority, name: &'static str) -> Self {
        Self { authority, name, alpn: &[], versions: BOTH, own: None }
    }

    /// The same with these protocols within.
    pub(crate) fn offering(self, alpn: &'a [&'a [u8]]) -> Self {
        Self { alpn, ..self }
    }

    /// Connects; the handshake comes with the first byte.
    pub(crate) fn connect(&self, address: SocketAddr) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(self.versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match self.own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let cert = CertificateDer::from_pem_slice(own.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let session = ClientConnection::new(Arc::new(config), ServerName::try_from(self.name).unwrap()).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(session, socket)
    }
}

/// A request whose answer is the last on its connection, and the answer.
fn ask(stream: &mut Tls, host: &str) -> String {
    exchange(stream, host, "Connection: close\r\n")
}

fn exchange(stream: &mut Tls, host: &str, fields: &str) -> String {
    stream.write_all(format!("GET /a HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    if fields.is_empty() {
        // The test's answers have no more than this.
        let mut bytes = [0; 4096];
        let n = stream.read(&mut bytes).unwrap();
        return String::from_utf8_lossy(&bytes[..n]).into_owned();
    }
    stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{error}, after {answer:?}"));
    answer
}

/// The certificate that a client is shown.
fn shown(stream: &Tls) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn der(issued: &Issued) -> Vec<u8> {
    CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap().to_vec()
}

/// A gateway with one certificate and these further settings of TLS.
fn gateway(issued: &Issued, tls: &str, origin: &Origin) -> Gateway {
    let yaml = format!(
        "workers: 1
listeners:
  - name: web
    address: '{{listen}}'
    limits: {{ header_timeout: 500ms }}
    tls: {{ certificates: [{{ cert: api.crt, key: api.key }}]{tls} }}
services: [{{ name: s, url: 'http://{{origin}}' }}]
routes: [{{ name: r, paths: [/], service: s }}]
"
    );
    Gateway::builder(&yaml).file("api.crt", &issued.cert).file("api.key", &issued.key).origin(origin).start()
}

fn hello() -> Origin {
    Origin::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
}

#[test]
fn http1_is_spoken_over_tls_1_2_and_1_3_and_the_service_is_told() {
    let authority = Authority::new("a");
    let origin = hello();
    let gateway = gateway(&authority.issue(&["api.test"]), "", &origin);
    for versions in [ONLY_1_2, ONLY_1_3] {
        let wanted = Wanted { versions, ..Wanted::new(&authority, "api.test").offering(&[b"http/1.1"]) };
        let answer = ask(&mut wanted.connect(gateway.address()), "api.test");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
        let seen = origin.requests().pop().unwrap();
        assert_eq!(seen.fields.get("X-Forwarded-Proto"), Some("https"), "{seen:?}");
        assert!(seen.fields.get("Forwarded").unwrap().ends_with("proto=https"), "{seen:?}");
    }
}

#[test]
fn the_certificate_is_that_of_the_name_and_other_hosts_are_misdirected() {
    let authority = Authority::new("a");
    let (api, shop) = (authority.issue(&["api.test"]), authority.issue(&["shop.test", "*.shop.test"]));
    let origin = hello();
    let yaml = "workers: 1
listeners:
  - name: web
    address: '{listen}'
    tls: { certificates: [{ cert: api.crt, key: api.key }, { cert: shop.crt, key: shop.key }] }
services: [{ name: s, url: 'http://{origin}' }]
routes: [{ name: r, paths: [/], service: s }]
";
    let files = [("api.crt", &api.cert), ("api.key", &api.key), ("shop.crt", &shop.cert), ("shop.key", &shop.key)];
    let builder = files.into_iter().fold(Gateway::builder(yaml), |builder, (name, text)| builder.file(name, text));
    let gateway = builder.origin(&origin).start();
    for (name, issued) in [("api.test", &api), ("shop.test", &shop), ("a.shop.test", &shop)] {
        let mut stream = Wanted::new(&authority, name).connect(gateway.address());
        let answer = exchange(&mut stream, name, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(shown(&stream), der(issued), "{name}");
    }
    let mut stream = Wanted::new(&authority, "shop.test").connect(gateway.address());
    assert!(
        exchange(&mut stream, "b.shop.test", "").starts_with("HTTP/1.1 200"),
        "the certificate is for that host, too"
    );
    let misdirected = exchange(&mut stream, "api.test", "");
    assert!(misdirected.starts_with("HTTP/1.1 421 ") && misdirected.contains("/misdirected"), "{misdirected}");
    assert!(exchange(&mut stream, "shop.test", "").starts_with("HTTP/1.1 200"), "the connection goes on");
}

#[test]
fn a_new_certificate_is_served_and_connections_go_on() {
    let authority = Authority::new("a");
    let (old, new) = (authority.issue(&["api.test"]), authority.issue(&["api.test"]));
    let origin = hello();
    let gateway = gateway(&old, "", &origin);
    let wanted = Wanted::new(&authority, "api.test");
    let mut kept = wanted.connect(gateway.address());
    exchange(&mut kept, "api.test", "");
    assert_eq!(shown(&kept), der(&old));
    let replace = |name: &str, text: &str| {
        let path = gateway.dir().join(name);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    // Between the two renames key and certificate do not fit: that changes nothing.
    replace("api.key", &new.key);
    std::thread::sleep(Duration::from_millis(300));
    let mut between = wanted.connect(gateway.address());
    exchange(&mut between, "api.test", "");
    assert_eq!(shown(&between), der(&old));
    replace("api.crt", &new.cert);
    let served = eventually(PATIENCE, || {
        let mut stream = wanted.connect(gateway.address());
        exchange(&mut stream, "api.test", "");
        (shown(&stream) == der(&new)).then_some(())
    });
    assert!(served.is_some(), "the new certificate is not served");
    assert!(exchange(&mut kept, "api.test", "").starts_with("HTTP/1.1 200"), "the old connection goes on");
}

#[test]
fn clients_show_certificates_where_they_must() {
    let authority = Authority::new("a");
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let origin = hello();
    let ca = clients.pem();
    let yaml = "workers: 1
listeners:
  - name: web
    address: '{listen}'
    tls:
      certificates: [{ cert: api.crt, key: api.key }]
      client_auth: { mode: required, ca: clients.crt }
      min_version: \"1.3\"
services: [{ name: s, url: 'http://{origin}' }]
routes: [{ name: r, paths: [/], service: s }]
";
    let issued = authority.issue(&["api.test"]);
    let builder = Gateway::builder(yaml).file("api.crt", &issued.cert).file("api.key", &issued.key);
    let gateway = builder.file("clients.crt", &ca).origin(&origin).start();
    let (known, unknown) = (clients.issue(&["someone"]), strangers.issue(&["someone"]));
    let get = |own: Option<&Issued>, versions| {
        let wanted = Wanted { own, versions, ..Wanted::new(&authority, "api.test") };
        let mut stream = wanted.connect(gateway.address());
        let mut answer = String::new();
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
        sent.and_then(|()| stream.read_to_string(&mut answer)).map(|_| answer)
    };
    assert!(get(Some(&known), ONLY_1_3).unwrap().starts_with("HTTP/1.1 200"));
    assert!(get(None, ONLY_1_3).is_err());
    assert!(get(Some(&unknown), ONLY_1_3).is_err());
    assert!(get(Some(&known), ONLY_1_2).is_err(), "1.2 is not spoken");
    assert!(gateway.stderr().is_empty() || !gateway.stderr().contains("panicked"));
}

#[test]
fn a_client_that_says_nothing_is_let_go_and_garbage_is_refused() {
    let authority = Authority::new("a");
    let gateway = gateway(&authority.issue(&["api.test"]), "", &hello());
    let started = Instant::now();
    let mut silent = TcpStream::connect(gateway.address()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let mut clear = TcpStream::connect(gateway.address()).unwrap();
    clear.set_read_timeout(Some(PATIENCE)).unwrap();
    clear.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "clear text gets no answer but an alert");
}

#[test]
fn large_bodies_pass_both_ways() {
    let authority = Authority::new("a");
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body().bytes.clone();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(body);
    });
    let gateway = gateway(&authority.issue(&["api.test"]), "", &origin);
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut stream = Wanted::new(&authority, "api.test").connect(gateway.address());
    let head =
        format!("POST /a HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&body));
}

#[test]
fn services_are_spoken_to_over_tls_and_checked() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let inner = hello();
    let service = gateway(&authority.issue(&["orders.internal"]), "", &inner);
    let ask = |tls: &str| {
        let yaml = format!(
            "workers: 1
listeners: [{{ name: web, address: '{{listen}}' }}]
services:
  - {{ name: s, url: 'https://{{service}}', tls: {{ {tls} }} }}
routes: [{{ name: r, paths: [/], service: s }}]
"
        );
        let files = [("ca.crt", authority.pem()), ("other.crt", other.pem())];
        let builder = files.iter().fold(Gateway::builder(&yaml), |builder, (name, text)| builder.file(name, text));
        let gateway = builder.var("service", service.address().to_string()).start();
        let mut client = gateway.connect();
        let statuses = [(); 2].map(|()| {
            client.send("GET /a HTTP/1.1\r\nHost: orders.internal\r\n\r\n");
            client.response("GET").unwrap().status
        });
        assert_eq!(statuses[0], statuses[1]);
        statuses[0]
    };
    assert_eq!(ask("ca: ca.crt, server_name: orders.internal"), 200);
    assert_eq!(ask("ca: other.crt, server_name: orders.internal"), 502, "another authority");
    assert_eq!(ask("ca: ca.crt, server_name: users.internal"), 502, "another name");
    assert_eq!(ask("ca: ca.crt"), 502, "no certificate for the address");
    assert_eq!(ask("verify: false"), 200);
}
