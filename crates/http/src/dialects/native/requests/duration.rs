//! Spans of time as text, such as `36h` or `7d`.

/// Units from the largest to the smallest, with their seconds.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// The seconds of a text: a whole number and a unit (`s`, `m`, `h`, `d`). None when it is anything else.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, factor)))?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u32>().ok().filter(|_| digits)?.checked_mul(*factor)
}

/// The text of so many seconds, in the largest unit that is exact.
pub(crate) fn text(seconds: u32) -> String {
    let exact = UNITS.iter().find(|(_, factor)| seconds >= *factor && seconds.is_multiple_of(*factor));
    exact.map_or_else(|| format!("{seconds}s"), |(unit, factor)| format!("{}{unit}", seconds / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_seconds() {
        for (written, wanted) in
            [("7d", 604_800), ("36h", 129_600), ("90m", 5400), ("61s", 61), ("0s", 0), ("010m", 600)]
        {
            assert_eq!(seconds(written), Some(wanted), "{written}");
        }
        for written in ["", "7", "d", "-1d", "+1d", "1.5h", "7 d", "7D", "7d ", "99999d9h", "4294967295d"] {
            assert_eq!(seconds(written), None, "{written}");
        }
        for (given, wanted) in [(604_800, "7d"), (129_600, "36h"), (5400, "90m"), (61, "61s"), (0, "0s")] {
            assert_eq!(text(given), wanted);
            assert_eq!(seconds(wanted), Some(given));
        }
    }
}
