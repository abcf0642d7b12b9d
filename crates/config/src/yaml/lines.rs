//! Places in a text: from the parser's lines and columns to bytes.

use saphyr_parser::Marker;
use tollgate_core::document::{Position, Span};

/// Where the lines of a text begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    file: u32,
    starts: Vec<usize>,
    ascii: bool,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str, file: u32) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            // A carriage return alone ends a line, as the parser sees it.
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                starts.push(at + 1);
            }
        }
        Self { text, file, starts, ascii: text.is_ascii() }
    }

    pub(super) fn span(&self, span: &saphyr_parser::Span) -> Span {
        let start = self.position(&span.start);
        Span { file: self.file, start, end: self.position(&span.end).max(start) }
    }

    /// The one character at a place.
    pub(super) fn at(&self, marker: &Marker) -> Span {
        let start = self.position(marker);
        self.one_char(start)
    }

    /// The one character that begins at or stretches over a byte.
    pub(super) fn char_at(&self, byte: usize) -> Span {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..byte).map_or(1, |before| before.chars().count() + 1);
        self.one_char(Position { byte: narrow(byte), line: narrow(line), column: narrow(column) })
    }

    /// The text of a line, from 1.
    pub(super) fn text_of(&self, line: u32) -> &'t str {
        let line = line as usize;
        let start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// Whether what stands at a place has no quotes.
    pub(super) fn plain_at(&self, span: Span) -> bool {
        self.text.get(span.start.byte as usize..).is_some_and(|rest| !rest.starts_with(['"', '\'']))
    }

    /// The one character that begins at a place.
    pub(super) fn one_char(&self, start: Position) -> Span {
        let next = self.text.get(start.byte as usize..).and_then(|rest| rest.chars().next());
        let bytes = next.filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
        let end = Position { byte: start.byte + narrow(bytes), column: start.column + u32::from(bytes > 0), ..start };
        Span { file: self.file, start, end }
    }

    /// The first place from a line on where a line is indented with a tab.
    pub(super) fn tab_after(&self, line: u32) -> Option<Span> {
        (line as usize..=self.starts.len()).find_map(|line| {
            let text = self.text_of(narrow(line));
            let tab = text[..text.len() - text.trim_start().len()].find('\t')?;
            Some(self.char_at(self.starts.get(line - 1)? + tab))
        })
    }

    fn position(&self, marker: &Marker) -> Position {
        let line = marker.line().max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(self.text.len());
        let offset = if self.ascii {
            marker.col()
        } else {
            let rest = self.text.get(start..).unwrap_or_default();
            rest.char_indices().nth(marker.col()).map_or(rest.len(), |(at, _)| at)
        };
        let byte = (start + offset).min(self.text.len());
        Position { byte: narrow(byte), line: narrow(line), column: narrow(marker.col() + 1) }
    }
}

/// Texts that are too long for this are turned away before.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
