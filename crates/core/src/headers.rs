//! Header fields: a compact, ordered, case-preserving list of slices into one buffer.
//!
//! A head arrives as bytes and mostly leaves as the same bytes. So the buffer is the head itself, each field is four
//! offsets into it, and what is added or changed is appended at the end of the buffer. Look-ups scan the list: with
//! some sixteen fields that is cheaper than hashing each of them once (`perf` measurements in the README).

use crate::known::Known;

/// One field: where its name and value lie in the buffer.
#[derive(Clone, Copy, Debug)]
struct Field {
    name_start: u32,
    value_start: u32,
    value_len: u32,
    name_len: u16,
    known: Known,
    /// The buffer holds exactly `name ": " value CRLF` here, so neighbours can be written with one copy.
    canonical: bool,
}

impl Field {
    const fn name_range(&self) -> std::ops::Range<usize> {
        let start = self.name_start as usize;
        start..start + self.name_len as usize
    }
    const fn value_range(&self) -> std::ops::Range<usize> {
        let start = self.value_start as usize;
        start..start + self.value_len as usize
    }
}

/// Header fields in the order in which they came or were added (RFC 9110 §5.3: order matters among fields of a name).
#[derive(Clone, Debug, Default)]
pub struct Headers {
    buffer: Vec<u8>,
    fields: Vec<Field>,
    /// Bits of the [`Known`] fields that were ever pushed: a clear bit saves the scan.
    seen: u64,
    /// The fields as runs of the buffer that hold just them; empty once a field was taken out or stands there in
    /// another form.
    runs: Runs,
}

/// Ranges of the buffer, at most four: the head in up to three, and what was added.
#[derive(Clone, Copy, Debug, Default)]
struct Runs {
    ranges: [(u32, u32); 4],
    count: u8,
    /// There were more, or a field that is not in canonical form.
    broken: bool,
}

impl Runs {
    #[inline]
    fn push(&mut self, start: u32, end: u32) {
        let last = usize::from(self.count).wrapping_sub(1);
        match self.ranges.get_mut(last) {
            Some(range) if range.1 == start => range.1 = end,
            _ => match self.ranges.get_mut(usize::from(self.count)) {
                Some(range) => {
                    *range = (start, end);
                    self.count += 1;
                }
                None => self.broken = true,
            },
        }
    }
}

/// Fields made beforehand, to be added to many requests or answers: see [`Headers::add_lines`].
#[derive(Clone, Debug, Default)]
pub struct Lines {
    text: Box<[u8]>,
    fields: Box<[LineOf]>,
}

/// A field of [`Lines`]: its kind, and where its name and value lie.
type LineOf = (Known, std::ops::Range<u16>, std::ops::Range<u16>);

impl Lines {
    /// Makes lines of names and values. A name that is no token, and what goes past 64 KiB, is left out; see
    /// [`Headers::add`] for values.
    #[must_use]
    pub fn new(fields: &[(&str, &[u8])]) -> Self {
        let mut headers = Headers::new();
        fields.iter().for_each(|(name, value)| headers.add(name, value));
        let narrow =
            |range: std::ops::Range<usize>| Some(u16::try_from(range.start).ok()?..u16::try_from(range.end).ok()?);
        let placed = headers
            .fields
            .iter()
            .filter_map(|field| Some((field.known, narrow(field.name_range())?, narrow(field.value_range())?)));
        let fields = placed.collect();
        Self { text: headers.buffer.into_boxed_slice(), fields }
    }
}

/// The longest name and the longest buffer; longer ones are refused by the parser's limits long before.
const MAX_NAME: usize = u16::MAX as usize;

impl Headers {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            fields: Vec::new(),
            seen: 0,
            runs: Runs { ranges: [(0, 0); 4], count: 0, broken: false },
        }
    }

    /// A list with room for so many fields, to be filled by [`Headers::push_parsed`] and [`Headers::attach`].
    #[must_use]
    pub fn with_capacity(fields: usize) -> Self {
        Self { buffer: Vec::new(), fields: Vec::with_capacity(fields), ..Self::new() }
    }

    /// Gives the parsed fields the head they lie in, copied once, with room for `extra` bytes of additions.
    pub fn attach(&mut self, head: &[u8], extra: usize) {
        self.buffer = Vec::with_capacity(head.len() + extra);
        self.buffer.extend_from_slice(head);
    }

    /// Enters a field by its place in the head that will be attached. The parser has checked name and value, and knows
    /// whether the head holds exactly `name ": " value CRLF` there (`canonical`).
    #[inline]
    pub fn push_parsed(
        &mut self,
        known: Known,
        name: std::ops::Range<usize>,
        value: std::ops::Range<usize>,
        canonical: bool,
    ) {
        if name.len() <= MAX_NAME {
            self.push_field(known, name, value, canonical);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "heads are bounded to far less than 4 GiB, names were checked")]
    #[inline]
    fn push_field(
        &mut self,
        known: Known,
        name: std::ops::Range<usize>,
        value: std::ops::Range<usize>,
        canonical: bool,
    ) {
        self.seen |= known.bit();
        if canonical {
            self.runs.push(name.start as u32, value.end as u32 + 2);
        } else {
            self.runs.broken = true;
        }
        self.fields.push(Field {
            name_start: name.start as u32,
            value_start: value.start as u32,
            value_len: value.len() as u32,
            name_len: name.len() as u16,
            known,
            canonical,
        });
    }

    /// Adds a field at the end; fields of the same name stay.
    ///
    /// Bytes that could end the field or the head (CR, LF, NUL and other controls) become spaces, and a name that is
    /// not a token (RFC 9110 §5.1) is not added: nobody can write a second field by way of a value.
    #[inline]
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.add_known(Known::of(name.as_bytes()), name, value.as_ref());
    }

    /// [`Headers::add`] for a name that is a token already classified.
    fn add_known(&mut self, known: Known, name: &str, value: &[u8]) {
        if !is_token(name.as_bytes()) || name.len() > MAX_NAME {
            return;
        }
        self.buffer.reserve(name.len() + value.len() + 4);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b": ");
        let value_start = self.buffer.len();
        let value = value.trim_ascii();
        self.buffer.extend_from_slice(value);
        for byte in &mut self.buffer[value_start..] {
            if is_control(*byte) {
                *byte = b' ';
            }
        }
        let end = self.buffer.len();
        self.buffer.extend_from_slice(b"\r\n");
        self.push_field(known, start..start + name.len(), value_start..end, true);
    }

    /// Adds a field that is known to be well-formed, made by the gateway itself; its value is the `parts` in a row.
    #[inline]
    pub fn add_line(&mut self, known: Known, name: &str, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.buffer.reserve(name.len() + length + 4);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b": ");
        let value_start = self.buffer.len();
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        let end = self.buffer.len();
        self.buffer.extend_from_slice(b"\r\n");
        self.push_field(known, start..start + name.len(), value_start..end, true);
    }

    /// Adds fields made beforehand, with one copy.
    pub fn add_lines(&mut self, lines: &Lines) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&lines.text);
        for (known, name, value) in &lines.fields {
            let shift = |range: &std::ops::Range<u16>| start + usize::from(range.start)..start + usize::from(range.end);
            self.push_field(*known, shift(name), shift(value), true);
        }
    }

    /// Replaces all fields of this name by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.add(name, value);
    }

    /// Removes all fields of this name; true if there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if self.absent(Known::of(name.as_bytes())) {
            return false;
        }
        let before = self.fields.len();
        let buffer = &self.buffer;
        self.fields.retain(|field| !field_is(buffer, field, name.as_bytes()));
        let removed = before != self.fields.len();
        self.runs.broken |= removed;
        removed
    }

    /// Removes all fields of a kind.
    pub fn remove_known(&mut self, known: Known) {
        if self.seen & known.bit() != 0 {
            self.fields.retain(|field| field.known != known);
            self.seen &= !known.bit();
            self.runs.broken = true;
        }
    }

    /// Keeps the fields for which `keep(name, value)` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let buffer = &self.buffer;
        self.runs.broken = true;
        self.fields.retain(|field| keep(slice(buffer, field.name_range()), slice(buffer, field.value_range())));
    }

    /// Gives fields named `from` the name `to`, in their places.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.runs.broken = true;
        let matching: Vec<usize> = (0..self.fields.len())
            .filter(|&index| self.fields.get(index).is_some_and(|field| field_is(&self.buffer, field, from.as_bytes())))
            .collect();
        for index in matching {
            let Some(old) = self.fields.get(index) else { continue };
            let value = slice(&self.buffer, old.value_range()).to_vec();
            self.add(to, value);
            // The new field was pushed last; it takes the old one's place in the order.
            if let Some(renamed) = self.fields.pop() {
                self.fields[index] = renamed;
            }
        }
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        if self.absent(Known::of(name.as_bytes())) {
            return None;
        }
        let field = self.fields.iter().find(|field| field_is(&self.buffer, field, name.as_bytes()))?;
        Some(slice(&self.buffer, field.value_range()))
    }

    /// The value of the first field of this name, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = if self.absent(Known::of(name.as_bytes())) { &[][..] } else { &self.fields[..] };
        fields
            .iter()
            .filter(move |field| field_is(&self.buffer, field, name.as_bytes()))
            .map(|field| slice(&self.buffer, field.value_range()))
    }

    /// The values of all fields of a kind, in order.
    pub fn known(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        let fields = if self.absent(known) { &[][..] } else { &self.fields[..] };
        fields.iter().filter(move |field| field.known == known).map(|field| slice(&self.buffer, field.value_range()))
    }

    /// True if a field of this name is present.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// True if a field of this kind is present.
    #[must_use]
    pub fn has(&self, known: Known) -> bool {
        self.known(known).next().is_some()
    }

    const fn absent(&self, known: Known) -> bool {
        !matches!(known, Known::Other) && self.seen & known.bit() == 0
    }

    /// All fields as (name, value), in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (slice(&self.buffer, field.name_range()), slice(&self.buffer, field.value_range())))
    }

    /// How many fields there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// True if there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Writes all fields, each as `name ": " value CRLF`, neighbours in one copy where the buffer holds just that.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.buffer.len());
        if !self.runs.broken {
            for (start, end) in self.runs.ranges.iter().take(usize::from(self.runs.count)) {
                out.extend_from_slice(slice(&self.buffer, *start as usize..*end as usize));
            }
            return;
        }
        self.write_each(out);
    }

    fn write_each(&self, out: &mut Vec<u8>) {
        let mut run = 0..0;
        for field in &self.fields {
            if field.canonical {
                let line = field.name_start as usize..(field.value_start + field.value_len) as usize + 2;
                if line.start == run.end {
                    run.end = line.end;
                } else {
                    out.extend_from_slice(slice(&self.buffer, run));
                    run = line;
                }
            } else {
                out.extend_from_slice(slice(&self.buffer, run));
                run = 0..0;
                out.extend_from_slice(slice(&self.buffer, field.name_range()));
                out.extend_from_slice(b": ");
                out.extend_from_slice(slice(&self.buffer, field.value_range()));
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(slice(&self.buffer, run));
    }
}

/// Ranges come from this module and lie in the buffer; a wrong one yields nothing rather than a panic.
#[inline]
fn slice(buffer: &[u8], range: std::ops::Range<usize>) -> &[u8] {
    buffer.get(range).unwrap_or_default()
}

#[inline]
fn field_is(buffer: &[u8], field: &Field, name: &[u8]) -> bool {
    field.name_len as usize == name.len() && slice(buffer, field.name_range()).eq_ignore_ascii_case(name)
}

/// Controls that must not stand in a field value (RFC 9110 §5.5): all but the horizontal tab.
#[must_use]
#[inline]
pub const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// A token (RFC 9110 §5.6.2): the only thing that may name a field or a method.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[byte as usize])
}

/// Which bytes are `tchar` of RFC 9110 §5.6.2.
pub static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "the loop ends at 255")]
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric()
            || matches!(
                c,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Headers {
        let mut headers = Headers::with_capacity(8);
        let mut start = 0;
        for line in head.split_inclusive("\r\n") {
            if let Some(colon) = line.find(':') {
                let value = line[colon + 1..].trim();
                let value_start = start + line.find(value).unwrap_or(colon + 1);
                let canonical = line == format!("{}: {value}\r\n", &line[..colon]);
                let value = value_start..value_start + value.len();
                headers.push_parsed(Known::of(&line.as_bytes()[..colon]), start..start + colon, value, canonical);
            }
            start += line.len();
        }
        headers.attach(head.as_bytes(), 64);
        headers
    }

    fn written(headers: &Headers) -> String {
        let mut out = Vec::new();
        headers.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn untouched_fields_are_written_as_they_came() {
        let head = "Host: a\r\nAccept: b\r\nX-Y: c\r\n";
        assert_eq!(written(&parsed(head)), head);
    }

    #[test]
    fn odd_spacing_is_written_in_one_form() {
        assert_eq!(written(&parsed("Host:a\r\nB:   c  \r\nD: e\r\n")), "Host: a\r\nB: c\r\nD: e\r\n");
    }

    #[test]
    fn changes_keep_the_rest() {
        let mut headers = parsed("Host: a\r\nB: 1\r\nC: 2\r\nb: 3\r\n");
        headers.rename("c", "D");
        headers.set("B", "9");
        headers.add("E", "x");
        assert_eq!(written(&headers), "Host: a\r\nD: 2\r\nB: 9\r\nE: x\r\n");
        assert!(headers.remove("host"));
        assert!(!headers.remove("host"));
        assert_eq!(headers.get("d"), Some(&b"2"[..]));
        assert_eq!(headers.len(), 3);
    }

    /// The quick way and the careful way of writing say the same, whatever was done before.
    #[test]
    fn runs_say_what_the_fields_say() {
        let steps: [fn(&mut Headers); 7] = [
            |headers| headers.add("New", "1"),
            |headers| assert!(headers.remove("b") || headers.get("b").is_none()),
            |headers| headers.remove_known(Known::Host),
            |headers| headers.rename("C", "D"),
            |headers| headers.set("C", "9"),
            |headers| headers.retain(|name, _| name != b"e"),
            |headers| headers.add_lines(&Lines::new(&[("L", b"1"), ("M", b"2")])),
        ];
        let head = "Host: a\r\nDrop: x\r\nB: 1\r\nC:2\r\ne: 3\r\n";
        let clean = "Host: a\r\nB: 1\r\nC: 2\r\ne: 3\r\n";
        for start in [head, clean] {
            for first in 0..steps.len() {
                for second in 0..steps.len() {
                    let mut headers = parsed(start);
                    steps[first](&mut headers);
                    steps[second](&mut headers);
                    let mut each = Vec::new();
                    headers.write_each(&mut each);
                    assert_eq!(written(&headers).as_bytes(), each, "{first} then {second}");
                }
            }
        }
        // More gaps than there are runs.
        let mut headers = Headers::with_capacity(8);
        let head = b"a: 1\r\n_: 0\r\nb: 2\r\n_: 0\r\nc: 3\r\n_: 0\r\nd: 4\r\n_: 0\r\ne: 5\r\n";
        for at in (0..head.len()).step_by(12) {
            headers.push_parsed(Known::Other, at..at + 1, at + 3..at + 4, true);
        }
        headers.attach(head, 0);
        assert_eq!(written(&headers), "a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n");
    }

    #[test]
    fn a_value_cannot_smuggle_a_field() {
        let mut headers = Headers::new();
        headers.add("A", "1\r\nB: 2\0");
        headers.add("bad name", "x");
        assert_eq!(written(&headers), "A: 1  B: 2 \r\n");
    }

    #[test]
    fn known_fields_are_found_by_kind() {
        let headers = parsed("host: a\r\nHost: b\r\n");
        assert_eq!(headers.known(Known::Host).count(), 2);
        assert!(!headers.has(Known::Via));
    }
}
