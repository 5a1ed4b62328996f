//! Inside or outside: how the two ends of a call decide its direction (`record.md` section 2.1).
//!
//! Which text names an end (a channel's peer, a gateway, a number) is the source's business.

use super::numbers;
use regex::Regex;

/// Longest digit string that is taken for an extension or a service code.
const SHORT_DIGITS: usize = 6;

/// Words that PBXs put in place of a number that the outside caller withheld.
const WITHHELD: [&str; 6] = ["anonymous", "unavailable", "restricted", "private", "unknown", "withheld"];

/// On which side of the organisation an end of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A phone, a user or a service of the organisation.
    Inside,
    /// The public network.
    Outside,
    /// Nothing tells; taken for inside, because the public network is what must show itself.
    Unknown,
}

/// Direction of a call as the record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From outside.
    Inbound,
    /// From inside to outside.
    Outbound,
    /// Inside on both ends.
    Internal,
}

impl Direction {
    /// The word of the field catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }

    /// The direction of a call between two ends.
    pub fn between(caller: Side, called: Side) -> Self {
        match (caller, called) {
            (Side::Outside, _) => Self::Inbound,
            (_, Side::Outside) => Self::Outbound,
            _ => Self::Internal,
        }
    }
}

/// Did the call come from outside and leave to outside again?
pub fn is_forwarded(caller: Side, called: Side) -> bool {
    caller == Side::Outside && called == Side::Outside
}

/// What a source's settings say about its lines: the names of its trunks and the form of its extensions.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// Names of trunks: peers, gateways, profiles.
    pub trunks: Vec<String>,
    /// Form of an extension, when configured.
    pub extension_pattern: Option<Regex>,
}

impl Lines {
    /// Is this the name of a trunk? Equal as a whole: `trunk-a` says nothing about `trunk-a-in`.
    pub fn is_trunk(&self, name: &str) -> bool {
        self.trunks.iter().any(|trunk| trunk == name)
    }

    /// Does the configured pattern say that this is an extension?
    pub fn matches_pattern(&self, name: &str) -> bool {
        self.extension_pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))
    }

    /// Is this an extension: by the pattern, or short and numeric?
    pub fn is_extension(&self, name: &str) -> bool {
        self.matches_pattern(name) || is_short_code(name)
    }

    /// The side of an end of which only the number is known.
    pub fn side_of_number(&self, number: &str) -> Side {
        if self.is_extension(number) {
            return Side::Inside;
        }
        let compact = numbers::compact(number);
        let digits = compact.strip_prefix('+').unwrap_or(&compact);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Side::Outside;
        }
        if WITHHELD.iter().any(|word| number.trim_start_matches('+').eq_ignore_ascii_case(word)) {
            return Side::Outside;
        }
        Side::Unknown
    }
}

/// Short digits, with the `*` and `#` of service codes.
fn is_short_code(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= SHORT_DIGITS
        && name.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_follow_from_the_two_sides() {
        use Side::{Inside, Outside, Unknown};
        for (caller, called, direction, forwarded) in [
            (Inside, Inside, Direction::Internal, false),
            (Inside, Outside, Direction::Outbound, false),
            (Outside, Inside, Direction::Inbound, false),
            (Outside, Outside, Direction::Inbound, true),
            (Unknown, Outside, Direction::Outbound, false),
            (Outside, Unknown, Direction::Inbound, false),
            (Unknown, Unknown, Direction::Internal, false),
        ] {
            assert_eq!(Direction::between(caller, called), direction, "{caller:?} to {called:?}");
            assert_eq!(is_forwarded(caller, called), forwarded, "{caller:?} to {called:?}");
        }
    }

    #[test]
    fn numbers_show_their_side() {
        let lines = Lines {
            trunks: vec!["trunk-a".into()],
            extension_pattern: Some(Regex::new("^(1[0-9]{2}|03012345[0-9]{2})$").unwrap()),
        };
        for (number, side) in [
            ("101", Side::Inside),
            ("0301234567", Side::Inside),
            ("*97", Side::Inside),
            ("700", Side::Inside),
            ("123456", Side::Inside),
            ("1234567", Side::Outside),
            ("+493023125000", Side::Outside),
            ("+49 30 23125-000", Side::Outside),
            ("00493023125000", Side::Outside),
            ("4930231250001234567890123", Side::Outside),
            ("anonymous", Side::Outside),
            ("+Anonymous", Side::Outside),
            ("Unavailable", Side::Outside),
            ("alice", Side::Unknown),
            ("", Side::Unknown),
        ] {
            assert_eq!(lines.side_of_number(number), side, "{number}");
        }
        assert!(lines.is_trunk("trunk-a"));
        assert!(!lines.is_trunk("trunk-a-in"));
    }
}
