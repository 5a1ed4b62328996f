//! How deep JSON nests, found without recursion: the parser recurses once per level, so depth is bounded before it runs.

use memchr::{memchr2, memchr2_iter};

/// Levels of arrays and objects within one record, the record itself included.
pub(super) const MOST_LEVELS: usize = 64;

/// Does `json` nest deeper than [`MOST_LEVELS`]? Right up to the first error of syntax, where a parser stops as well.
pub(super) fn is_too_deep(json: &[u8]) -> bool {
    // Brackets are rare in records: with few of them, even inside of strings, there is nothing to look at.
    if memchr2_iter(b'{', b'[', json).take(MOST_LEVELS + 1).count() <= MOST_LEVELS {
        return false;
    }
    let (mut at, mut level) = (0, 0usize);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => match string_end(json, at) {
                Some(end) => at = end,
                None => return false,
            },
            b'{' | b'[' if level == MOST_LEVELS => return true,
            b'{' | b'[' => level += 1,
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Where the string ends whose content starts at `from`: just after its closing quote.
pub(super) fn string_end(json: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}
