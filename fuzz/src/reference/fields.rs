//! Lines, tokens, fields.

/// Fields as names and values, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// RFC 9110 §5.6.2.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(tchar)
}

/// `HTAB`, `SP`, `VCHAR` and `obs-text` (RFC 9110 §5.5).
pub(super) fn is_text(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7E | 0x80..))
}

/// The lines before the first empty one, without their CRLFs, and how many bytes they take, the empty line included.
/// `None` if there is no empty line.
pub(super) fn lines(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let (mut lines, mut start) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(start..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        start += end + 2;
        if end == 0 {
            return Some((lines, start));
        }
        lines.push(&rest[..end]);
    }
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5).
pub(super) fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    (is_token(name) && is_text(value)).then(|| (name.to_vec(), value.to_vec()))
}

/// All of them, or `None` if one is malformed.
pub(super) fn fields(lines: &[&[u8]]) -> Option<Fields> {
    lines.iter().map(|line| field(line)).collect()
}

/// Without spaces and tabs at both ends.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The elements of all fields of a name, in lower case (RFC 9110 §5.6.1).
pub(super) fn elements(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
    values(fields, name)
        .iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|element| trim(element).to_ascii_lowercase())
        .filter(|element| !element.is_empty())
        .collect()
}

/// True if `Connection` names more fields, besides its own options, than anybody needs.
pub(super) fn names_too_many(options: &[Vec<u8>]) -> bool {
    let mut named = 0;
    for option in options.iter().filter(|option| !matches!(&option[..], b"close" | b"keep-alive" | b"upgrade")) {
        if named == 32 {
            return true;
        }
        named += usize::from(is_token(option));
    }
    false
}

/// The values of all fields of a name.
pub(super) fn values<'f>(fields: &'f Fields, name: &str) -> Vec<&'f [u8]> {
    let named = fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|field| &field.1[..]).collect()
}

/// `Content-Length` of both kinds of message: absent, a number, or wrong.
pub(super) fn content_length(fields: &Fields) -> Result<Option<u64>, ()> {
    match values(fields, "content-length")[..] {
        [] => Ok(None),
        // More than 19 digits are refused even if they are zeros.
        [value] if value.len() <= 19 && value.iter().all(u8::is_ascii_digit) => {
            String::from_utf8_lossy(value).parse().map(Some).map_err(drop)
        }
        _ => Err(()),
    }
}

/// What a field is to a gateway, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It goes on.
    EndToEnd,
    /// It is about this connection or the framing (RFC 9110 §7.6.1).
    HopByHop,
    /// It says who the client is, which only the gateway may.
    Identity,
    /// It says where the request came from, which only trusted peers may.
    Forwarding,
    /// With `_` for `-` it would be one of the others, or one the gateway acts on.
    Disguised,
}

const HOP_BY_HOP: [&str; 9] = [
    "content-length",
    "transfer-encoding",
    "connection",
    // No field, but what `Connection: close` would name (RFC 9110 §7.6.1, §18.4).
    "close",
    "keep-alive",
    "proxy-connection",
    "te",
    "upgrade",
    "http2-settings",
];
const IDENTITY: [&str; 6] =
    ["x-user-id", "x-tenant", "x-consumer-name", "x-consumer-groups", "x-credential-id", "proxy"];
/// A further name with a hyphen that decides something.
const WATCHED: [&str; 1] = ["max-forwards"];

/// The role of a field.
pub(super) fn role(name: &[u8]) -> Role {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let forwards = |name: &str| name.starts_with("x-forwarded-");
    let plain = name.replace('_', "-");
    let known = [&HOP_BY_HOP[..], &IDENTITY, &WATCHED].concat();
    if plain != name && (known.contains(&plain.as_str()) || forwards(&plain)) {
        return Role::Disguised;
    }
    if HOP_BY_HOP.contains(&name.as_str()) {
        return Role::HopByHop;
    }
    if IDENTITY.contains(&name.as_str()) {
        return Role::Identity;
    }
    if name == "forwarded" || forwards(&name) {
        return Role::Forwarding;
    }
    Role::EndToEnd
}
