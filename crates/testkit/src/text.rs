//! Bytes as text, without loss.

/// Bytes as a string, one character for each byte, so that odd bytes in fields survive comparison.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Bytes for a person: escaped, a line break after each `\n`, cut after 2,000 bytes.
pub fn show(bytes: &[u8]) -> String {
    const MOST: usize = 2000;
    let mut out = String::new();
    for &byte in bytes.iter().take(MOST) {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n\n"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if bytes.len() > MOST {
        out.push_str(&format!("… {} bytes in all", bytes.len()));
    }
    out
}
