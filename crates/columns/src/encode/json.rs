//! Records of JSON in RFC 8785 form: names sorted, nothing between tokens, only what must be is escaped.
//!
//! How a string is escaped is decided in the model; here is only the order of names and the quick test. Integers are
//! written with all their digits: RFC 8785 leaves numbers beyond 2^53 to the application, and rounding is no option.

use tollbook_model::canonical;

/// Must any of these bytes be escaped in a JSON string?
pub(super) fn needs_escapes(bytes: &[u8]) -> bool {
    // Blocks of fixed size without an early exit inside: the compiler makes vector instructions of them.
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().any(|block| block.iter().fold(0, |found, byte| found | u8::from(is_special(*byte))) != 0)
        || rest.iter().any(|byte| is_special(*byte))
}

#[inline(always)]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// Sorts positions by the names they stand for, in the order of RFC 8785.
pub(super) fn sort_by_name(positions: &mut [usize], name: impl Fn(usize) -> &'static str) {
    positions.sort_by(|one, other| name(*one).encode_utf16().cmp(name(*other).encode_utf16()));
}

/// What stands before the value of a member: a comma, its name, and for strings the opening quote. In the first
/// member of a record the comma is overwritten by `{`.
pub(super) fn before_value(name: &str, quoted: bool) -> Vec<u8> {
    let mut text = vec![b','];
    canonical::push_string(&mut text, name);
    text.extend_from_slice(if quoted { b":\"" } else { b":" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_the_model_escapes_is_seen_wherever_it_stands() {
        for byte in 0..0x80 {
            let mut escaped = Vec::new();
            canonical::push_string_body(&mut escaped, std::str::from_utf8(&[byte]).unwrap());
            for at in [0, 63, 64, 130] {
                let mut text = vec![b'x'; 131];
                text[at] = byte;
                assert_eq!(needs_escapes(&text), escaped != [byte], "{byte:#x} at {at}");
            }
        }
        assert!(!needs_escapes("Zoë 電話".as_bytes()));
    }

    #[test]
    fn names_sort_by_utf16() {
        let names = ["b", "a_b", "a", "aB", "\u{fb33}", "\u{1f600}"];
        let mut positions = vec![0, 1, 2, 3, 4, 5];
        sort_by_name(&mut positions, |at| names[at]);
        assert_eq!(positions, [2, 3, 1, 0, 5, 4]);
    }
}
