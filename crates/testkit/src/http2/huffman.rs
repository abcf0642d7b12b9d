//! The Huffman code of RFC 7541, Appendix B.
//!
//! It is canonical: symbols of one length are numbered in their order, so the lengths say it all.

/// The bits of each byte's code, and of EOS at the end.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];
const EOS: usize = 256;

/// Symbols with code and length, by length.
fn codes() -> Vec<(usize, u32, u8)> {
    let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
    symbols.sort_by_key(|symbol| LENGTHS[*symbol]);
    let (mut code, mut length) = (0, 0);
    let number = |symbol: usize| {
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        code += 1;
        (symbol, code - 1, length)
    };
    symbols.into_iter().map(number).collect()
}

/// Bytes as a Huffman string, padded with ones.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    encode_symbols(bytes.iter().copied().map(usize::from))
}

/// A string with EOS in it, which no string may have.
pub(crate) fn encode_with_eos(bytes: &[u8]) -> Vec<u8> {
    encode_symbols(bytes.iter().copied().map(usize::from).chain([EOS]))
}

fn encode_symbols(symbols: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut table = codes();
    table.sort_unstable();
    let mut bits: Vec<bool> = Vec::new();
    for symbol in symbols {
        let (_, code, length) = table[symbol];
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |out, bit| out << 1 | u8::from(*bit))).collect()
}

/// A Huffman string as bytes; an error where the padding is wrong or EOS is in it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let table = codes();
    let mut out = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u8);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
        code = code << 1 | u32::from(bit);
        length += 1;
        let Some((symbol, ..)) = table.iter().find(|(_, c, l)| (*c, *l) == (code, length)) else { continue };
        out.push(u8::try_from(*symbol).map_err(|_| "EOS in a Huffman string".to_owned())?);
        (code, length) = (0, 0);
    }
    if length > 7 || code + 1 != 1 << length {
        return Err("wrong padding of a Huffman string".into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strings of RFC 7541, Appendix C.4.
    #[test]
    fn strings_of_the_rfc() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(encode(b"www.example.com"), coded);
        assert_eq!(decode(&coded).unwrap(), b"www.example.com");
        assert_eq!(encode(b"no-cache"), [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }

    #[test]
    fn wrong_strings() {
        assert!(decode(&encode_with_eos(b"a")).is_err());
        assert!(decode(&[0xff, 0xff]).is_err());
        assert!(decode(&[0b0001_1000]).is_err());
    }
}
