//! Blanks secrets in a text that may not even be YAML: going by the looks of it, and rather too much than too little.

use std::ops::Range;
use tollgate_core::document::is_secret_name;

/// The text with as many bytes, and `*` for those of values that stand after the name of a secret.
pub(super) fn without_secrets(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    // What is indented more than this belongs to a secret that began on a line before.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let is_blank = line.trim().is_empty();
        match block {
            Some(of_key) if is_blank || indent > of_key => star(&mut bytes, at + indent..at + line.trim_end().len()),
            _ => {
                block = None;
                for range in secrets(line, &mut block) {
                    star(&mut bytes, at + range.start..at + range.end);
                }
                for range in passwords(line) {
                    star(&mut bytes, at + range.start..at + range.end);
                }
            }
        }
        at += line.len();
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn star(bytes: &mut [u8], range: Range<usize>) {
    bytes.get_mut(range).unwrap_or_default().fill(b'*');
}

/// The values on a line that stand after the name of a secret. If one goes on below, `block` is set to its indent.
fn secrets(line: &str, block: &mut Option<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| at + from) {
        from = colon + 1;
        let before = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let name_start = before
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        if !is_secret_name(&before[name_start..]) {
            continue;
        }
        let rest = &line[from..];
        let start = from + rest.len() - rest.trim_start().len();
        let value = line[start.min(line.len())..].trim_end();
        if value.is_empty() || value.starts_with(['|', '>', '#']) {
            *block = Some(name_start);
            continue;
        }
        let range = start..start + length(value);
        from = range.end.max(from);
        if !line[range.clone()].trim_matches(['"', '\'']).starts_with("${") {
            // A quoted value that does not end here goes on below.
            let quote = value.starts_with(['"', '\'']) && range.end == start + value.len() && !ends_in_quote(value);
            if quote {
                *block = Some(name_start);
            }
            found.push(range);
        }
    }
    found
}

fn ends_in_quote(value: &str) -> bool {
    value.len() > 1 && value.chars().next() == value.chars().last()
}

/// How long a value is: a list or text in quotes to its end, other text up to a comma or a closing bracket.
fn length(value: &str) -> usize {
    let end = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|at| at + 2),
        Some('[') => value.find(']').map(|at| at + 1),
        // Braces that belong to `${…}` don't end it.
        _ if value.starts_with("${") => value.find('}').map(|at| at + 1),
        _ => value.find([',', '}', ']']),
    };
    end.unwrap_or(value.len())
}

/// The passwords of URLs on a line.
fn passwords(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("://") {
        let start = at + 3;
        let rest = &line[start..];
        let end = rest.find(|c: char| "/?#\"'".contains(c) || c.is_whitespace()).unwrap_or(rest.len());
        let Some((userinfo, _)) = rest[..end].rsplit_once('@') else { continue };
        if let Some((user, password)) = userinfo.split_once(':')
            && !password.starts_with("${")
        {
            found.push(start + user.len() + 1..start + userinfo.len());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn secrets_are_blanked_and_nothing_else() {
        for (text, expected) in [
            ("token: abc", "token: ***"),
            ("  token: abc # d\n", "  token: *******\n"),
            ("{ token: abc, x: 1 }", "{ token: ***, x: 1 }"),
            ("{\"token\": \"a,c\", x: 1}", "{\"token\": *****, x: 1}"),
            ("client_secret: 'x y'", "client_secret: *****"),
            ("token: ${env:T}", "token: ${env:T}"),
            ("token: \"${env:T}\"", "token: \"${env:T}\""),
            ("name: abc", "name: abc"),
            ("url: redis://u:pw@h/", "url: redis://u:**@h/"),
            ("url: redis://u:${env:P}@h/", "url: redis://u:${env:P}@h/"),
            ("private_key: |\n  ab\n\n  cd\nname: x\n", "private_key: |\n  **\n\n  **\nname: x\n"),
            ("- token:\n    ab\n- name: x", "- token:\n    **\n- name: x"),
            ("password: \"a\n  b\"\nx: 1", "password: **\n  **\nx: 1"),
            ("key: é", "key: **"),
            ("é: token: x", "é: token: *"),
            ("Authorization: [a, b]", "Authorization: ******"),
            (":", ":"),
            ("token:", "token:"),
            ("token: a\ntoken: b\r\n", "token: *\ntoken: *\r\n"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }
}
