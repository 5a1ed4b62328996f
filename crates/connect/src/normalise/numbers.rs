//! Number forms: a recognised E.164 number gets its `+`, everything else stays as dialled.
//!
//! No country is ever guessed: `030…` and `49…` stay what they are.

use std::borrow::Cow;

/// Fewest and most digits of an international number with its country code (ITU-T E.164).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The number without the separators people write: blanks, `-`, `.`, `(`, `)`, `/`. Text with letters stays.
pub fn compact(number: &str) -> Cow<'_, str> {
    let is_separator = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '/');
    if !number.contains(is_separator) || number.chars().any(char::is_alphabetic) {
        return Cow::Borrowed(number);
    }
    Cow::Owned(number.chars().filter(|&c| !is_separator(c)).collect())
}

/// The user part of a `sip:`, `sips:` or `tel:` address; other text as it is.
pub fn without_scheme(address: &str) -> &str {
    let inner = address.trim().trim_start_matches('<');
    for scheme in ["sip:", "sips:", "tel:"] {
        if let Some(head) = inner.get(..scheme.len())
            && head.eq_ignore_ascii_case(scheme)
        {
            let rest = &inner[scheme.len()..];
            return rest.split(['@', ';', '>']).next().unwrap_or(rest);
        }
    }
    address
}

/// A party's number as the record holds it: `+` and digits when the source wrote `+` or `00` and an international
/// number, without a URI's scheme and host, else unchanged.
pub fn party(number: &str) -> Cow<'_, str> {
    let bare = without_scheme(number);
    let compacted = compact(bare);
    let international = compacted.strip_prefix('+').or_else(|| compacted.strip_prefix("00"));
    match international {
        Some(digits)
            if E164_DIGITS.contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            if compacted.starts_with('+') {
                compacted
            } else {
                Cow::Owned(format!("+{digits}"))
            }
        }
        _ => Cow::Borrowed(bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_numbers() {
        for (given, kept) in [
            ("+493023125000", "+493023125000"),
            ("+49 (30) 23125-000", "+493023125000"),
            ("00493023125000", "+493023125000"),
            ("493023125000", "493023125000"),
            ("03023125000", "03023125000"),
            ("9 00493023125000", "9 00493023125000"),
            ("*97", "*97"),
            ("anonymous", "anonymous"),
            ("Unavailable", "Unavailable"),
            ("sip:+493023125000@pbx.example;user=phone", "+493023125000"),
            ("<SIP:alice@pbx.example>", "alice"),
            ("tel:+49-30-23125-000", "+493023125000"),
            ("client:x", "client:x"),
            ("Ext.101", "Ext.101"),
            ("", ""),
            ("1234567890123456789012345", "1234567890123456789012345"),
            ("+1234567890123456789012345", "+1234567890123456789012345"),
            ("000", "000"),
            ("007", "007"),
            ("sip", "sip"),
            ("síp:", "síp:"),
        ] {
            assert_eq!(party(given), kept, "{given}");
        }
    }
}
