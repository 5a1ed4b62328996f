//! Cells of CSV: RFC 4180 quoting only where it is needed, and the guard against formulas.
//!
//! Values are never altered unless the guard is asked for. Spaces at either end need no quotes and get none. Empty
//! text is `""`, because an empty cell means that there is no value.

/// UTF-8 byte-order mark, with which spreadsheets recognise the encoding.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Does any of these bytes make quotes necessary?
pub(super) fn needs_quotes(bytes: &[u8]) -> bool {
    // Blocks of fixed size without an early exit inside: the compiler makes vector instructions of them.
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().any(|block| block.iter().fold(0, |found, byte| found | u8::from(is_special(*byte))) != 0)
        || rest.iter().any(|byte| is_special(*byte))
}

#[inline(always)]
fn is_special(byte: u8) -> bool {
    (byte == b',') | (byte == b'"') | (byte == b'\n') | (byte == b'\r')
}

/// Could a text that begins with this byte need the guard? The full-width signs begin with 0xEF.
pub(super) fn may_begin_formula(byte: u8) -> bool {
    matches!(byte, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | 0xEF)
}

/// Would a spreadsheet take the text for a formula? Phone numbers and plain numbers are not touched.
fn needs_guard(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) && !is_numeric(text)
}

/// Is the whole text `^[+-]?[0-9][0-9 ().-]*$`?
fn is_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b' ' | b'(' | b')' | b'.' | b'-'))
}

/// Appends a cell, guarded if asked and quoted if needed.
pub(super) fn push_cell(out: &mut Vec<u8>, text: &str, guard: bool) {
    let mark: &[u8] = if guard && needs_guard(text) { b"'" } else { b"" };
    if !text.is_empty() && !needs_quotes(text.as_bytes()) {
        out.extend_from_slice(mark);
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(mark);
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, guard: bool) -> String {
        let mut out = Vec::new();
        push_cell(&mut out, text, guard);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_only_where_needed() {
        for (text, expected) in [
            ("", "\"\""),
            ("plain", "plain"),
            (" leading and trailing ", " leading and trailing "),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
            ("a;b\tc'd", "a;b\tc'd"),
            ("Zoë 電話", "Zoë 電話"),
            ("+442071234567", "+442071234567"),
            ("007", "007"),
            ("=1+1", "=1+1"),
        ] {
            assert_eq!(cell(text, false), expected, "{text:?}");
        }
        let late = format!("{},", "x".repeat(200));
        assert_eq!(cell(&late, false), format!("\"{late}\""), "a comma after the first chunks is seen");
    }

    #[test]
    fn the_guard_marks_formulas_and_never_numbers() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("=A1,B1", "\"'=A1,B1\""),
            ("=\"x\"", "\"'=\"\"x\"\"\""),
            ("@sum", "'@sum"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("+49 (30) 123-45.6", "+49 (30) 123-45.6"),
            ("+442071234567", "+442071234567"),
            ("-5", "-5"),
            ("-3.5", "-3.5"),
            ("-1e-7", "'-1e-7"),
            ("+", "'+"),
            ("-", "'-"),
            ("--5", "'--5"),
            ("+1\n", "\"'+1\n\""),
            ("-5+cmd", "'-5+cmd"),
            ("＝1", "'＝1"),
            ("＋49", "'＋49"),
            ("－5", "'－5"),
            ("＠x", "'＠x"),
            ("ｘ", "ｘ"),
            (" =1", " =1"),
            ("a=1", "a=1"),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text, true), expected, "{text:?}");
            if expected.contains('\'') {
                assert!(may_begin_formula(text.as_bytes()[0]), "{text:?} passes the quick test");
            }
        }
    }
}
