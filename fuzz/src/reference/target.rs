//! Canonical paths, queries and hosts (RFC 3986 §6.2.2).

/// The canonical path, or `None` if it is refused.
#[must_use]
pub fn path(raw: &[u8]) -> Option<String> {
    let text = recoded(raw)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_with_slash = false;
    for segment in text.strip_prefix('/')?.split('/') {
        ends_with_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            other if hides_dots(other) => return None,
            other => segments.push(other),
        }
    }
    let slash = if ends_with_slash && !segments.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", segments.join("/")))
}

/// Percent-encodings in their canonical form; `None` if a byte or an encoding is not legal.
fn recoded(raw: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                rest = &rest[2..];
                match byte {
                    0..=0x1F | 0x7F => return None,
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte as char),
                    _ => text.push_str(&format!("%{byte:02X}")),
                }
            }
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' => {
                text.push_str(&format!("%{first:02X}"));
            }
            b'#' | b'?' | b'\\' => return None,
            0x21..=0x7E => text.push(*first as char),
            _ => return None,
        }
    }
    Some(text)
}

/// True if a reader that decodes `%2F` and `%5C`, or cuts off parameters, would see a dot segment.
fn hides_dots(segment: &str) -> bool {
    let decoded = segment.replace("%2F", "/").replace("%5C", "/").replace("%3B", ";");
    decoded.split('/').any(|part| matches!(part.split(';').next(), Some("." | "..")))
}

/// True if a query is acceptable: visible ASCII but `#`.
#[must_use]
pub fn query(raw: &[u8]) -> bool {
    raw.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
}

/// The canonical host and the port, or `None` if it is refused.
#[must_use]
pub fn authority(raw: &[u8]) -> Option<(String, Option<u16>)> {
    let text = std::str::from_utf8(raw).ok()?;
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (format!("[{}]", ipv6_text(ipv6(address)?)), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (registered_name(name)?, port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        _ => return None,
    };
    Some((host, port))
}

fn registered_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let labels: Vec<&str> = name.split('.').collect();
    let legal = |label: &&str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte))
    };
    let numeric = labels.last()?.bytes().all(|byte| byte.is_ascii_digit());
    let fits = name.len() <= 255 && labels.iter().all(legal);
    (fits && (labels.len() == 1 || !numeric || ipv4(&name).is_some())).then_some(name)
}

fn ipv4(text: &str) -> Option<[u16; 4]> {
    let parts: Vec<&str> = text.split('.').collect();
    // A number's only spelling is the one it is printed with.
    let number = |part: &&str| part.parse().ok().filter(|number: &u8| number.to_string() == **part).map(u16::from);
    parts.iter().map(number).collect::<Option<Vec<u16>>>()?.try_into().ok()
}

/// The eight groups of an IPv6 address (RFC 4291 §2.2).
fn ipv6(text: &str) -> Option<[u16; 8]> {
    match text.split_once("::") {
        None => groups(text, true)?.try_into().ok(),
        Some((front, back)) => {
            let (front, back) = (groups(front, false)?, groups(back, true)?);
            let zeros = 8usize.checked_sub(front.len() + back.len()).filter(|zeros| *zeros > 0)?;
            [front, vec![0; zeros], back].concat().try_into().ok()
        }
    }
}

/// Groups between colons; the last may be an IPv4 address where the address `ends`.
fn groups(text: &str, ends: bool) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    if text.is_empty() {
        return Some(groups);
    }
    let parts: Vec<&str> = text.split(':').collect();
    for (at, part) in parts.iter().enumerate() {
        if ends && at + 1 == parts.len() && part.contains('.') {
            let [a, b, c, d] = ipv4(part)?;
            groups.extend([a << 8 | b, c << 8 | d]);
        } else if matches!(part.len(), 1..=4) && part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            groups.push(u16::from_str_radix(part, 16).ok()?);
        } else {
            return None;
        }
    }
    Some(groups)
}

/// RFC 5952: lower case, the first of the longest runs of two or more zeros cut out, IPv4 in mapped addresses only.
fn ipv6_text(groups: [u16; 8]) -> String {
    if let [0, 0, 0, 0, 0, 0xFFFF, high, low] = groups {
        return format!("::ffff:{}.{}.{}.{}", high >> 8, high & 255, low >> 8, low & 255);
    }
    let hex = |groups: &[u16]| groups.iter().map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":");
    for length in (2..=8).rev() {
        if let Some(start) = groups.windows(length).position(|run| run.iter().all(|group| *group == 0)) {
            return format!("{}::{}", hex(&groups[..start]), hex(&groups[start + length..]));
        }
    }
    hex(&groups)
}
