//! HPACK (RFC 7541): blocks written piece by piece, right or wrong, and a strict decoder.

use std::collections::VecDeque;

use crate::http2::huffman;
use crate::http2::static_table::STATIC;
use crate::text::latin1;

/// A field block under construction. It keeps no table: who adds entries knows their numbers (the newest is 62).
#[derive(Debug, Clone, Default)]
pub struct Block(Vec<u8>);

impl Block {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole `GET` for `a.test`, which adds nothing to the table.
    pub fn get(path: &str) -> Self {
        Self::request("GET", path)
    }

    /// A whole `POST` for `a.test`, which adds nothing to the table.
    pub fn post(path: &str) -> Self {
        Self::request("POST", path)
    }

    /// The four fields of a request for `a.test`, which add nothing to the table.
    pub fn request(method: &str, path: &str) -> Self {
        let block = Self::new().field(":method", method).field(":scheme", "http");
        block.field(":path", path).field(":authority", "a.test")
    }

    /// A literal field without indexing, its name new (§6.2.2).
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.raw([0]).string(name).string(value)
    }

    /// The same, with both strings Huffman-coded.
    pub fn huffman_field(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.raw([0]).huffman_string(name).huffman_string(value)
    }

    /// A literal field without indexing, its name from the table.
    pub fn named_field(self, index: usize, value: impl AsRef<[u8]>) -> Self {
        self.integer(0, 4, index).string(value)
    }

    /// A literal field that enters the table, its name new (§6.2.1).
    pub fn added(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.raw([0x40]).string(name).string(value)
    }

    /// A literal field that enters the table, its name from the table.
    pub fn named_added(self, index: usize, value: impl AsRef<[u8]>) -> Self {
        self.integer(0x40, 6, index).string(value)
    }

    /// A literal field that is never indexed, its name new (§6.2.3).
    pub fn never(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.raw([0x10]).string(name).string(value)
    }

    /// A literal field that is never indexed, its name from the table.
    pub fn named_never(self, index: usize, value: impl AsRef<[u8]>) -> Self {
        self.integer(0x10, 4, index).string(value)
    }

    /// A field from the table (§6.1).
    pub fn indexed(self, index: usize) -> Self {
        self.integer(0x80, 7, index)
    }

    /// A new size of the table (§6.3).
    pub fn table_size(self, size: usize) -> Self {
        self.integer(0x20, 5, size)
    }

    /// An integer under the bits of its first byte (§5.1).
    pub fn integer(mut self, first: u8, prefix: u32, value: usize) -> Self {
        let most = (1_usize << prefix) - 1;
        let low = |value: usize| u8::try_from(value & 0xff).unwrap_or_default();
        if value < most {
            return self.raw([first | low(value)]);
        }
        self.0.push(first | low(most));
        let mut rest = value - most;
        while rest >= 0x80 {
            self.0.push(low(rest) | 0x80);
            rest >>= 7;
        }
        self.raw([low(rest)])
    }

    /// A plain string (§5.2).
    pub fn string(self, bytes: impl AsRef<[u8]>) -> Self {
        self.integer(0, 7, bytes.as_ref().len()).raw(bytes)
    }

    /// A Huffman-coded string.
    pub fn huffman_string(self, bytes: impl AsRef<[u8]>) -> Self {
        self.coded_string(huffman::encode(bytes.as_ref()))
    }

    /// A Huffman-coded string that holds EOS, which is an error.
    pub fn eos_string(self, bytes: impl AsRef<[u8]>) -> Self {
        self.coded_string(huffman::encode_with_eos(bytes.as_ref()))
    }

    /// A string that is called Huffman-coded, whatever its bytes are.
    pub fn coded_string(self, coded: impl AsRef<[u8]>) -> Self {
        self.integer(0x80, 7, coded.as_ref().len()).raw(coded)
    }

    /// Any bytes.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The bytes cut in two after `at`.
    pub fn split(self, at: usize) -> (Vec<u8>, Vec<u8>) {
        let (one, two) = self.0.split_at(at);
        (one.to_vec(), two.to_vec())
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Self {
        block.0
    }
}

/// Decodes blocks, with the table that they build. Anything wrong is an error.
#[derive(Debug)]
pub struct Decoder {
    table: VecDeque<(String, String)>,
    size: usize,
    most: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { table: VecDeque::new(), size: 0, most: Self::LIMIT }
    }
}

impl Decoder {
    /// The size of the table unless SETTINGS say another.
    const LIMIT: usize = 4096;

    /// The fields of a whole block, one character for each byte.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<(String, String)>, String> {
        let mut input = Input(block);
        let mut fields = Vec::new();
        while let Some(&first) = input.0.first() {
            match first {
                0x80.. => fields.push(self.entry(input.integer(7)?)?),
                0x40.. => {
                    let field = self.literal(&mut input, 6)?;
                    self.size += cost(&field);
                    self.table.push_front(field.clone());
                    self.evict();
                    fields.push(field);
                }
                0x20.. if fields.is_empty() => {
                    self.most = input.integer(5)?;
                    if self.most > Self::LIMIT {
                        return Err(format!("a table of {} bytes", self.most));
                    }
                    self.evict();
                }
                0x20.. => return Err("a table size after a field".into()),
                _ => fields.push(self.literal(&mut input, 4)?),
            }
        }
        Ok(fields)
    }

    fn literal(&self, input: &mut Input<'_>, prefix: u32) -> Result<(String, String), String> {
        let name = match input.integer(prefix)? {
            0 => input.string()?,
            index => self.entry(index)?.0,
        };
        Ok((name, input.string()?))
    }

    fn entry(&self, index: usize) -> Result<(String, String), String> {
        let none = || format!("no entry {index} of {}", STATIC.len() + self.table.len());
        let at = index.checked_sub(1).ok_or_else(none)?;
        match STATIC.get(at) {
            Some((name, value)) => Ok(((*name).to_owned(), (*value).to_owned())),
            None => self.table.get(at - STATIC.len()).cloned().ok_or_else(none),
        }
    }

    fn evict(&mut self) {
        while self.size > self.most {
            self.size -= self.table.pop_back().map_or(self.size, |field| cost(&field));
        }
    }
}

/// What a field costs in the table (§4.1). A byte of it is one character here.
fn cost((name, value): &(String, String)) -> usize {
    name.chars().count() + value.chars().count() + 32
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (first, rest) = self.0.split_first().ok_or("a block ends early")?;
        self.0 = rest;
        Ok(*first)
    }

    fn integer(&mut self, prefix: u32) -> Result<usize, String> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a huge integer".into())
    }

    fn string(&mut self) -> Result<String, String> {
        let coded = self.0.first().is_some_and(|byte| *byte >= 0x80);
        let length = self.integer(7)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or("a string ends early")?;
        self.0 = rest;
        Ok(if coded { latin1(&huffman::decode(bytes)?) } else { latin1(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let block = Block::new().indexed(2).named_added(58, "kit").added("a", "1").indexed(62).huffman_field("b", "2");
        let mut decoder = Decoder::default();
        let fields = decoder.decode(block.as_ref()).unwrap();
        let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(text, [":method=GET", "user-agent=kit", "a=1", "a=1", "b=2"]);
        let fields = decoder.decode(Block::new().indexed(63).as_ref()).unwrap();
        assert_eq!(fields, [("user-agent".to_owned(), "kit".to_owned())]);
        assert!(decoder.decode(Block::new().table_size(40).indexed(63).as_ref()).is_err());
        assert_eq!(Block::new().integer(0, 5, 1337).0, [31, 154, 10]);
        assert_eq!(Input(&[31, 154, 10]).integer(5).unwrap(), 1337);
    }
}
