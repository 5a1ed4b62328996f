//! RFC 8785 (JSON Canonicalization Scheme) for what Tollbook writes: objects of strings, and strings.
//!
//! Numbers are written by who has them: ours are integers, or floats in ECMAScript's shortest form.

use std::collections::BTreeMap;

/// Appends `text` as a JSON string in RFC 8785 form: only `"`, `\` and control characters are escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_string_body(out, text);
    out.push(b'"');
}

/// Like [`push_string`], without the quotes.
pub fn push_string_body(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0A => b'n',
            0x0C => b'f',
            0x0D => b'r',
            0x00..=0x1F => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[clean_from..at]);
        clean_from = at + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
}

/// The RFC 8785 text of an object of strings. Keys are sorted by UTF-16 code units; a later equal key wins.
pub fn object_of_strings<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeMap<Vec<u16>, (&str, &str)> =
        pairs.into_iter().map(|(key, value)| (key.encode_utf16().collect(), (key, value))).collect();
    let mut out = Vec::with_capacity(64);
    out.push(b'{');
    for (at, (key, value)) in sorted.values().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_string(&mut out, key);
        out.push(b':');
        push_string(&mut out, value);
    }
    out.push(b'}');
    String::from_utf8(out).expect("made of strings and ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_utf16_and_only_needed_characters_are_escaped() {
        // RFC 8785 section 3.2.3: U+1F600 (surrogates D83D…) sorts before U+FB33.
        let text = object_of_strings([("\u{fb33}", "1"), ("\u{1f600}", "2"), ("a", "\u{7f}/\"\\\n\u{1}ö")]);
        assert_eq!(text, "{\"a\":\"\u{7f}/\\\"\\\\\\n\\u0001ö\",\"\u{1f600}\":\"2\",\"\u{fb33}\":\"1\"}");
    }
}
