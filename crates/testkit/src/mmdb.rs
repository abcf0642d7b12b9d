//! Databases of addresses in MaxMind's format, small ones: <https://maxmind.github.io/MaxMind-DB/>.

use std::net::IpAddr;

/// What stands between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

// The types of the format that are written here.
const TEXT: u8 = 2;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;

/// A value of a record.
#[derive(Debug, Clone)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number of 32 bits.
    Number(u32),
    /// Values by name.
    Map(Vec<(&'static str, Field)>),
}

/// A database that is being written.
#[derive(Debug, Clone)]
pub struct Mmdb {
    kind: String,
    only_v4: bool,
    networks: Vec<(u128, u8, Field)>,
}

impl Mmdb {
    /// An empty database of a type such as `GeoLite2-Country`, for both kinds of addresses.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.into(), only_v4: false, networks: Vec::new() }
    }

    /// A database that says in which country networks are.
    pub fn countries(of: &[(&str, &str)]) -> Self {
        let country = |code: &str| Field::Map(vec![("iso_code", Field::Text(code.into()))]);
        of.iter().fold(Self::new("GeoLite2-Country"), |database, (network, code)| {
            database.network(network, Field::Map(vec![("country", country(code))]))
        })
    }

    /// A database that says to which autonomous system networks belong.
    pub fn asns(of: &[(&str, u32)]) -> Self {
        of.iter().fold(Self::new("GeoLite2-ASN"), |database, (network, number)| {
            database.network(network, Field::Map(vec![("autonomous_system_number", Field::Number(*number))]))
        })
    }

    /// Makes it one of IPv4 addresses only.
    pub fn only_v4(mut self) -> Self {
        self.only_v4 = true;
        self
    }

    /// Adds what is known of a network, `203.0.113.0/24`. Of several that hold an address the smallest counts.
    pub fn network(mut self, network: &str, record: Field) -> Self {
        let (address, length) = network.split_once('/').expect("a network has a length");
        let length: u8 = length.parse().expect("the length of a network is a number");
        // IPv4 is the part ::/96 of the tree.
        let (bits, length) = match address.parse().expect("a network has an address") {
            IpAddr::V4(address) => (u128::from(address.to_bits()), length + 96),
            IpAddr::V6(address) => (address.to_bits(), length),
        };
        self.networks.push((bits, length, record));
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut networks = self.networks.clone();
        // Smaller ones go into larger ones, never the other way round.
        networks.sort_by_key(|(_, length, _)| *length);
        let (mut tree, mut data) = (Tree::default(), Vec::new());
        let skipped = if self.only_v4 { 96 } else { 0 };
        for (bits, length, record) in &networks {
            tree.insert(bits << skipped, length - skipped, data.len());
            write(&mut data, record);
        }
        let mut file = tree.bytes();
        file.extend(SEPARATOR);
        file.extend(data);
        file.extend(MARKER);
        self.metadata(&mut file, tree.nodes.len());
        file
    }

    fn metadata(&self, file: &mut Vec<u8>, nodes: usize) {
        control(file, MAP, 9);
        let mut number = |name: &str, kind, value: u64| {
            text(file, name);
            unsigned(file, kind, value);
        };
        number("binary_format_major_version", UINT16, 2);
        number("binary_format_minor_version", UINT16, 0);
        number("build_epoch", UINT64, 1_800_000_000);
        number("ip_version", UINT16, if self.only_v4 { 4 } else { 6 });
        number("node_count", UINT32, nodes as u64);
        number("record_size", UINT16, 24);
        text(file, "database_type");
        text(file, &self.kind);
        text(file, "description");
        write(file, &Field::Map(vec![("en", Field::Text("for tests".into()))]));
        text(file, "languages");
        control(file, ARRAY, 0);
    }
}

/// A node's side.
#[derive(Clone, Copy)]
enum Side {
    Nothing,
    Node(usize),
    /// An offset in the data.
    Data(usize),
}

struct Tree {
    nodes: Vec<[Side; 2]>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![[Side::Nothing; 2]] }
    }
}

impl Tree {
    fn insert(&mut self, bits: u128, length: u8, data: usize) {
        assert!(length > 0, "the whole tree is no network here");
        let (mut node, mut depth) = (0, 0);
        loop {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            depth += 1;
            if depth == length {
                self.nodes[node][side] = Side::Data(data);
                return;
            }
            node = match self.nodes[node][side] {
                Side::Node(next) => next,
                // What was known of the larger network holds for the rest of it.
                known => {
                    self.nodes.push([known; 2]);
                    self.nodes[node][side] = Side::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
            };
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let value = |side: &Side| match side {
            Side::Nothing => self.nodes.len(),
            Side::Node(node) => *node,
            Side::Data(offset) => self.nodes.len() + SEPARATOR.len() + offset,
        };
        // Records of 24 bits.
        self.nodes.iter().flatten().flat_map(|side| value(side).to_be_bytes().into_iter().skip(5)).collect()
    }
}

/// Writes what begins a value: its type, and its size.
fn control(out: &mut Vec<u8>, kind: u8, size: usize) {
    let size = u8::try_from(size).expect("values are small");
    let (short, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    match kind {
        // Types from 8 on have a byte of their own.
        8.. => out.extend([short, kind - 7]),
        _ => out.push(kind << 5 | short),
    }
    out.extend(more);
}

fn text(out: &mut Vec<u8>, text: &str) {
    control(out, TEXT, text.len());
    out.extend(text.as_bytes());
}

fn unsigned(out: &mut Vec<u8>, kind: u8, value: u64) {
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    control(out, kind, bytes.len());
    out.extend(bytes);
}

fn write(out: &mut Vec<u8>, field: &Field) {
    match field {
        Field::Text(value) => text(out, value),
        Field::Number(value) => unsigned(out, UINT32, u64::from(*value)),
        Field::Map(entries) => {
            control(out, MAP, entries.len());
            for (name, value) in entries {
                text(out, name);
                write(out, value);
            }
        }
    }
}
