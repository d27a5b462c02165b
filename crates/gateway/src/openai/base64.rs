//! Base64 with padding (RFC 4648, section 4), writing only: no crate of ours has it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text.
pub(super) fn encode(bytes: impl Iterator<Item = u8>) -> String {
    let mut bytes = bytes.fuse();
    let mut text = String::with_capacity(bytes.size_hint().0.div_ceil(3) * 4);
    while let Some(first) = bytes.next() {
        let (second, third) = (bytes.next(), bytes.next());
        let group = u32::from(first) << 16 | u32::from(second.unwrap_or(0)) << 8 | u32::from(third.unwrap_or(0));
        let digit = |shift: u32| char::from(ALPHABET[(group >> shift) as usize & 63]);
        text.push(digit(18));
        text.push(digit(12));
        text.push(if second.is_some() { digit(6) } else { '=' });
        text.push(if third.is_some() { digit(0) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4648, section 10.
    #[test]
    fn the_rfc_s_own_examples() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(encode(bytes.bytes()), text);
        }
        assert_eq!(encode([0xff, 0xfe, 0xfb].into_iter()), "//77");
    }
}
