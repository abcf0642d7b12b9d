//! Layer 4: connections that are passed on whole, by listener or by the host of their TLS, and PROXY headers.

mod passthrough;
mod proxy_protocol;
mod send_proxy;
mod server;
mod tcp;
mod tcp_ends;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use tollgate_testkit::{Gateway, free_port};

use crate::helpers::plain;
use server::Server;

/// A running gateway and the address of its listener at layer 4.
struct Layer4 {
    gateway: Gateway,
    address: SocketAddr,
}

impl Layer4 {
    /// A gateway with a second listener at `{l4}`, of which `listener` is the inside, a service `pool`, and `rest`.
    fn start(listener: &str, service: &str, rest: &str, servers: &[&Server]) -> Self {
        Self::from_yaml(&yaml(listener, service, rest), servers)
    }

    fn from_yaml(yaml: &str, servers: &[&Server]) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut builder = Gateway::builder(yaml).var("l4", address.to_string());
        for (index, server) in servers.iter().enumerate() {
            builder = builder.var(&server_name(index + 1), server.address().to_string());
        }
        Self { gateway: builder.start(), address }
    }

    /// A listener for TCP with a service of this inside, and an access log.
    fn tcp(service: &str, servers: &[&Server]) -> Self {
        Self::start("protocol: tcp, service: pool", service, LOGGED, servers)
    }

    fn connect(&self) -> TcpStream {
        plain(self.address)
    }
}

const LOGGED: &str = "access_log: { path: stdout }";

fn yaml(listener: &str, service: &str, rest: &str) -> String {
    format!(
        "workers: 1
listeners:
  - {{ name: web, address: \"{{listen}}\" }}
  - {{ name: l4, address: \"{{l4}}\", {listener} }}
services: [{{ name: pool, {service} }}]
admin: {{ address: \"{{admin}}\" }}
{rest}
"
    )
}

/// The first is `server`, then come `server2` and so on.
fn server_name(number: usize) -> String {
    if number == 1 { "server".to_owned() } else { format!("server{number}") }
}

/// `targets:` for so many servers.
fn targets(count: usize) -> String {
    let target = |number| format!("{{ address: \"{{{}}}\" }}", server_name(number));
    let targets: Vec<String> = (1..=count).map(target).collect();
    format!("targets: [{}]", targets.join(", "))
}

/// Exactly so many bytes.
fn read_exact(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{length} bytes: {error}"));
    bytes
}

/// All bytes to the end of the stream, which must be a proper one.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("no end after {} bytes: {error}", bytes.len()));
    bytes
}

/// What came until the end or a reset; a time-out fails the test.
fn read_until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("the connection is not closed: {error}"),
    }
}
