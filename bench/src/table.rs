//! Aligned tables, and colour where a person reads them.

use std::io::{self, IsTerminal};

/// Paints words, on a terminal only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colours when stdout is a terminal and nobody asked for none (`NO_COLOR`).
    pub(crate) fn for_stdout() -> Self {
        Self(io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub(crate) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// Lines of cells, the first of a line aligned to the left and the others to the right. Two spaces lead each line.
pub(crate) fn aligned(lines: &[Vec<String>]) -> Vec<String> {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let format = |line: &Vec<String>| {
        line.iter().zip(&widths).enumerate().fold(String::new(), |mut text, (column, (cell, width))| {
            text.push_str("  ");
            let gap = " ".repeat(width - cell.chars().count());
            if column == 0 {
                text.push_str(cell);
                text.push_str(&gap);
            } else {
                text.push_str(&gap);
                text.push_str(cell);
            }
            text
        })
    };
    lines.iter().map(|line| format(line).trim_end().to_owned()).collect()
}

/// A number with so many decimals and commas between thousands.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 && text.contains(|c: char| ('1'..='9').contains(&c)) { "-" } else { "" };
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_by_characters() {
        let line = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let lines = aligned(&[line(&["", "µs CPU"]), line(&["nginx", "13.70"]), line(&["haproxy"])]);
        assert_eq!(lines, ["           µs CPU", "  nginx     13.70", "  haproxy"]);
    }

    #[test]
    fn numbers_have_thousands_and_signs() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(999.949, 2), "999.95");
        assert_eq!(number(-1234.5, 1), "-1,234.5");
        assert_eq!(number(-0.001, 1), "0.0");
    }

    #[test]
    fn plain_paint_adds_nothing() {
        assert_eq!(Paint::plain().bad("FAIL"), "FAIL");
    }
}
