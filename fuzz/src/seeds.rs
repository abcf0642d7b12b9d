//! The inputs that fuzzing starts from, written by hand: `seeds/<target>.txt`, one in double quotes a line.

/// A target: its name, what it does with an input, and its seeds.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// The properties.
    pub check: fn(&[u8]),
    /// The text of the list.
    list: &'static str,
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "request_head", check: crate::request_head, list: include_str!("../seeds/request_head.txt") },
    Target { name: "response_head", check: crate::response_head, list: include_str!("../seeds/response_head.txt") },
    Target { name: "chunked_body", check: crate::chunked_body, list: include_str!("../seeds/chunked_body.txt") },
    Target { name: "path", check: crate::path, list: include_str!("../seeds/path.txt") },
    Target { name: "authority", check: crate::authority, list: include_str!("../seeds/authority.txt") },
];

impl Target {
    /// The seeds.
    ///
    /// # Panics
    /// If a line of the list is malformed.
    pub fn seeds(&self) -> impl Iterator<Item = Vec<u8>> {
        self.list.lines().filter(|line| line.starts_with('"')).map(|line| {
            let text = line.strip_prefix('"').and_then(|line| line.strip_suffix('"'));
            text.and_then(unescaped).unwrap_or_else(|| panic!("{}: {line}", self.name))
        })
    }
}

/// Undoes [`slice::escape_ascii`], and knows `\0`.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                same @ (b'\\' | b'"' | b'\'') => same,
                _ => return None,
            },
            other => other,
        });
    }
    Some(bytes)
}
