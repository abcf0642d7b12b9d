//! `protocol: tls-passthrough`: the route by the host that a TLS client names.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tollgate_testkit::{PATIENCE, eventually, free_port};

use super::server::{Server, half_close};
use super::{Layer4, read_exact, read_to_end, read_until_closed};
use crate::helpers::log_stdout;

/// `unrecognized_name`, fatal.
const NO_SUCH_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// A hello with this host and these bytes as another extension, its record header included.
fn hello(host: Option<&str>, padding: usize) -> Vec<u8> {
    let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let with_length = |bytes: &[u8]| [&length(bytes.len())[..], bytes].concat();
    let name = |host: &str| with_length(&with_length(&[&[0], &*with_length(host.as_bytes())].concat()));
    let host = host.map(|host| [&[0, 0], &*name(host)].concat()).unwrap_or_default();
    let extensions = [host, [&[0, 21][..], &with_length(&vec![0; padding])].concat()].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &with_length(&extensions)].concat();
    let message = [&[1, 0][..], &with_length(&body)].concat();
    [&[22, 3, 1][..], &with_length(&message)].concat()
}

/// The same message in records of so many bytes.
fn in_records(hello: &[u8], most: usize) -> Vec<u8> {
    hello[5..]
        .chunks(most)
        .flat_map(|part| [&[22, 3, 1, 0, u8::try_from(part.len()).unwrap()], part].concat())
        .collect()
}

/// Three services by host, and what else the listener and the routes have.
fn yaml(listener: &str, routes: &str) -> String {
    format!(
        "workers: 1
listeners:
  - {{ name: web, address: \"{{listen}}\" }}
  - {{ name: tls, address: \"{{l4}}\", protocol: tls-passthrough{listener} }}
services:
  - {{ name: exact, targets: [{{ address: \"{{server}}\" }}] }}
  - {{ name: wild, targets: [{{ address: \"{{server2}}\" }}] }}
  - {{ name: rest, targets: [{{ address: \"{{server3}}\" }}] }}
routes:
  - {{ name: wild, hosts: [\"*.a.test\"], listeners: [tls], service: wild }}
  - {{ name: exact, hosts: [api.a.test, other.test], listeners: [tls], service: exact }}
  - {{ name: web, hosts: [web.test], plugins: [{{ name: request-termination, config: {{ status: 418 }} }}] }}
{routes}
admin: {{ address: \"{{admin}}\" }}
access_log: {{ path: stdout }}
"
    )
}

/// Which server takes a connection with this hello: each says its name first.
fn taken_by(gateway: &Layer4, hello: &[u8]) -> Vec<u8> {
    let mut stream = gateway.connect();
    stream.write_all(hello).unwrap();
    half_close(&stream);
    let bytes = read_until_closed(&mut stream);
    match bytes.split_first() {
        Some((name, rest)) if rest == hello => vec![*name],
        _ => bytes,
    }
}

#[test]
fn the_host_chooses_the_route_and_the_hello_passes_untouched() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let routes = "  - { name: rest, listeners: [tls], service: rest }";
    let gateway = Layer4::from_yaml(&yaml("", routes), &servers.each_ref());
    for (host, server) in [
        (Some("api.a.test"), b"e"),
        (Some("API.A.test"), b"e"),
        (Some("other.test"), b"e"),
        (Some("x.a.test"), b"w"),
        (Some("x.y.a.test"), b"w"),
        (Some("a.test"), b"r"),
        // This one's route is for requests.
        (Some("web.test"), b"r"),
        (None, b"r"),
    ] {
        assert_eq!(taken_by(&gateway, &hello(host, 10)), server, "{host:?}");
        assert_eq!(taken_by(&gateway, &in_records(&hello(host, 300), 100)), server, "{host:?}");
    }
    let line = &log_stdout(&gateway.gateway, 1)[0];
    for (key, value) in
        [("protocol", "tls-passthrough"), ("host", "api.a.test"), ("route", "exact"), ("service", "exact")]
    {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(gateway.gateway.connect().get("/").unwrap().status, 404, "routes for connections take no requests");
}

#[test]
fn a_host_that_no_route_has_is_told_so_or_gets_the_service_of_the_listener() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let gateway = Layer4::from_yaml(
        &yaml("", "").replace("  - { name: rest, targets: [{ address: \"{server3}\" }] }\n", ""),
        &servers.each_ref(),
    );
    for host in [Some("nobody.test"), Some("web.test"), None] {
        let mut stream = gateway.connect();
        stream.write_all(&hello(host, 10)).unwrap();
        assert_eq!(read_to_end(&mut stream), NO_SUCH_NAME, "{host:?}");
    }
    let lines = log_stdout(&gateway.gateway, 3);
    assert!(lines.iter().all(|line| line["reject"] == "no-route"), "{lines:?}");
    gateway
        .gateway
        .metrics_when("rejections", |metrics| metrics.get("tollgate_rejects_total{kind=\"no-route\"}") == Some(3));
    let gateway = Layer4::from_yaml(&yaml(", service: rest", ""), &servers.each_ref());
    assert_eq!(taken_by(&gateway, &hello(Some("nobody.test"), 10)), b"r");
    assert_eq!(taken_by(&gateway, &hello(None, 10)), b"r");
    assert_eq!(taken_by(&gateway, &hello(Some("x.a.test"), 10)), b"w");
}

#[test]
fn a_hello_in_pieces_is_waited_for() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let gateway = Layer4::from_yaml(&yaml(", service: rest", ""), &servers.each_ref());
    let hello = hello(Some("api.a.test"), 200);
    let mut stream = gateway.connect();
    stream.set_nodelay(true).unwrap();
    for piece in hello.chunks(3) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
    assert_eq!(read_exact(&mut stream, 1 + hello.len())[1..], hello);
    assert_eq!(servers[0].accepted(), 1);
}

#[test]
fn what_is_no_hello_is_closed_without_a_word() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let gateway = Layer4::from_yaml(&yaml(", service: rest", ""), &servers.each_ref());
    let mut cut = hello(Some("api.a.test"), 10);
    cut.truncate(40);
    let mut bent = hello(Some("api.a.test"), 10);
    bent[43] = 9;
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff][..], &[0; 20_000]].concat();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x00", b"SSH-2.0-x\r\n", &cut, &bent, &endless] {
        let mut stream = gateway.connect();
        // It may be closed before all of it is taken.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        assert_eq!(read_until_closed(&mut stream), b"", "{bytes:?}");
    }
    assert!(servers.iter().all(|server| server.accepted() == 0));
    let kinds: Vec<_> = log_stdout(&gateway.gateway, 6).iter().map(|line| line["reject"].clone()).collect();
    assert_eq!(kinds, ["bad-request", "bad-request", "bad-request", "client-gone", "bad-request", "bad-request"]);
}

#[test]
fn a_hello_that_does_not_come_is_not_waited_for_long() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let listener = ", service: rest, limits: { header_timeout: 300ms }";
    let gateway = Layer4::from_yaml(&yaml(listener, ""), &servers.each_ref());
    for bytes in [&[][..], &hello(Some("api.a.test"), 10)[..30]] {
        let mut stream = gateway.connect();
        stream.write_all(bytes).unwrap();
        assert_eq!(read_until_closed(&mut stream), b"");
    }
    let lines = log_stdout(&gateway.gateway, 2);
    assert!(lines.iter().all(|line| line["reject"] == "request-timeout"), "{lines:?}");
}

#[test]
fn who_only_connects_does_not_hold_up_the_end() {
    let servers = [Server::echo("e"), Server::echo("w"), Server::echo("r")];
    let mut gateway = Layer4::from_yaml(&yaml(", service: rest", ""), &servers.each_ref());
    let mut stream = gateway.connect();
    assert_eq!(taken_by(&gateway, &hello(None, 10)), b"r");
    gateway.gateway.sigterm();
    assert_eq!(read_until_closed(&mut stream), b"");
    assert!(gateway.gateway.wait_exit(PATIENCE).success());
}

/// An `openssl s_server` that sends every line back reversed.
struct TlsServer {
    child: Child,
    address: SocketAddr,
    certificate: PathBuf,
}

impl TlsServer {
    fn start(directory: &Path, host: &str) -> Self {
        let file = |end: &str| directory.join(format!("{host}.{end}"));
        let (certificate, key) = (file("crt"), file("key"));
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={host}"), "-addext", &format!("subjectAltName=DNS:{host}"), "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status()
            .expect("openssl runs");
        assert!(status.success(), "no certificate for {host}");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &address.to_string(), "-rev", "-quiet", "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let server = Self { child, address, certificate };
        assert!(eventually(PATIENCE, || TcpStream::connect(address).ok()).is_some(), "openssl does not listen");
        server
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an `openssl s_client` gets for a line, and all that it says.
fn tls_client(gateway: &Layer4, host: &str, trusted: &Path) -> (String, String) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", host, "-servername", host])
        .args(["-alpn", "h2,http/1.1", "-connect", &gateway.address.to_string(), "-CAfile"])
        .arg(trusted)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut input = child.stdin.take().unwrap();
    // It may have ended already.
    let _ = input.write_all(b"hello\n");
    let mut said = vec![0; 6];
    let got = child.stdout.take().unwrap().read_exact(&mut said).map(|()| said).unwrap_or_default();
    drop(input);
    let _ = child.kill();
    let output = child.wait_with_output().expect("it ended");
    (String::from_utf8_lossy(&got).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn tls_ends_at_the_service() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("passthrough");
    std::fs::create_dir_all(&directory).expect("a directory");
    let servers = ["api.a.test", "x.a.test"].map(|host| TlsServer::start(&directory, host));
    let text = yaml("", "").replace("  - { name: rest, targets: [{ address: \"{server3}\" }] }\n", "");
    let text = text.replace("{server}", &servers[0].address.to_string());
    let gateway = Layer4::from_yaml(&text.replace("{server2}", &servers[1].address.to_string()), &[]);
    for (server, host) in servers.iter().zip(["api.a.test", "x.a.test"]) {
        let (got, said) = tls_client(&gateway, host, &server.certificate);
        assert_eq!(got, "olleh\n", "{host}: {said}");
    }
    let (got, said) = tls_client(&gateway, "nobody.test", &servers[0].certificate);
    assert_eq!(got, "");
    assert!(said.contains("unrecognized name") || said.contains("alert number 112"), "{said}");
    let lines = log_stdout(&gateway.gateway, 3);
    let alpn: Vec<&str> = lines[0]["alpn"].as_array().expect("a list").iter().filter_map(|it| it.as_str()).collect();
    assert_eq!(alpn, ["h2", "http/1.1"]);
}
