//! Percent-encoding as COS uses it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Everything but `A-Z a-z 0-9 - _ . ~`: the set of the signature's `UrlEncode`.
const SIGNED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same, with `/` left bare: keys in listings with `encoding-type=url`.
const KEY: &AsciiSet = &SIGNED.remove(b'/');

/// `UrlEncode` of the signature algorithm: upper-case hex, space as `%20`, `/` as `%2F`.
pub fn url_encode(bytes: &[u8]) -> String {
    encode(bytes, SIGNED)
}

/// Encodes a key for a listing with `encoding-type=url` or for a copy source: `/` stays.
pub fn encode_key(key: &str) -> String {
    encode(key.as_bytes(), KEY)
}

fn encode(bytes: &[u8], set: &'static AsciiSet) -> String {
    let mut text = String::with_capacity(bytes.len());
    percent_encode(bytes, set).for_each(|piece| text.push_str(piece));
    text
}

/// Decodes exactly once. `None` where a `%` is not followed by two hex digits: such text was not
/// encoded by anyone who meant it.
pub fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'%') {
        return Some(text.to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (hex_digit(*rest.next()?)?, hex_digit(*rest.next()?)?);
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let digit =
        |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decoding_takes_one_layer_only() {
        assert_eq!(percent_decode(b"a%2541+b").unwrap(), b"a%41+b");
        assert_eq!(percent_decode(b"%e8%85%be").unwrap(), "腾".as_bytes());
        for bad in [&b"%"[..], b"%4", b"%zz", b"a%+1"] {
            assert_eq!(percent_decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decode_inverts_both_encodings(bytes in any::<Vec<u8>>(), key in any::<String>()) {
            prop_assert_eq!(percent_decode(url_encode(&bytes).as_bytes()).unwrap(), bytes);
            prop_assert_eq!(percent_decode(encode_key(&key).as_bytes()).unwrap(), key.as_bytes());
        }
    }
}
