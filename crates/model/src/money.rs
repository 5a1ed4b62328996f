//! Exact amounts: whole millionths, as DECIMAL(18,6) holds them. No floating point anywhere.

use std::fmt;

/// An amount in millionths of its currency unit; at most 18 digits in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(i64);

/// Largest magnitude in millionths: 18 nines.
const LIMIT: i64 = 999_999_999_999_999_999;

impl Money {
    /// The amount of that many millionths; none when over 18 digits.
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        (-LIMIT..=LIMIT).contains(&millionths).then_some(Self(millionths))
    }

    /// The amount in millionths.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// Reads `^-?[0-9]+(\.[0-9]+)?$` with at most 12 digits before and 6 after the point (further zeros are taken).
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if fraction.len() > 6 || whole.len() > 12 {
            return None;
        }
        let mut millionths: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            millionths = millionths * 10 + i64::from(digit - b'0');
        }
        for _ in fraction.len()..6 {
            millionths *= 10;
        }
        Self::from_millionths(if negative { -millionths } else { millionths })
    }
}

impl fmt::Display for Money {
    /// The shortest exact text: `12`, `0.015`, `-3.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / 1_000_000, magnitude % 1_000_000);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:06}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_both_ways() {
        for (text, shown) in
            [("0", "0"), ("12", "12"), ("0.0150", "0.015"), ("-3.5", "-3.5"), ("-0.000001", "-0.000001")]
        {
            assert_eq!(Money::parse(text).map(|m| m.to_string()).as_deref(), Some(shown));
        }
        for wrong in ["", "-", "1.", ".5", "1e3", "+1", "1,0", "0.0000001", "1234567890123"] {
            assert_eq!(Money::parse(wrong), None, "{wrong}");
        }
    }
}
