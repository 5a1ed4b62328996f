//! Digits: whole numbers and UUIDs as text, through look-up tables and without allocation.
//!
//! Functions write at a position of a buffer that is known to be long enough and return the position after.

/// Bytes that [`put_integer`] may touch: the longest number, `-9223372036854775808`.
pub(super) const INTEGER_ROOM: usize = 20;
/// Length of a UUID's text.
pub(super) const UUID_ROOM: usize = 36;

/// 0 to 999: digits from the left, then (last byte) how many there are.
static SHORT: [[u8; 4]; 1000] = short_numbers();
/// 000 to 999, always three digits; the last byte is unused.
static PADDED: [[u8; 4]; 1000] = padded_numbers();
/// Both hexadecimal digits of every byte.
static HEX: [[u8; 2]; 256] = hex_pairs();

const fn digit(value: usize) -> u8 {
    b'0' + (value % 10) as u8
}

const fn padded_numbers() -> [[u8; 4]; 1000] {
    let mut table = [[0; 4]; 1000];
    let mut n = 0;
    while n < 1000 {
        table[n] = [digit(n / 100), digit(n / 10), digit(n), 0];
        n += 1;
    }
    table
}

const fn short_numbers() -> [[u8; 4]; 1000] {
    let mut table = [[0; 4]; 1000];
    let mut n = 0;
    while n < 1000 {
        table[n] = match n {
            0..=9 => [digit(n), 0, 0, 1],
            10..=99 => [digit(n / 10), digit(n), 0, 2],
            _ => [digit(n / 100), digit(n / 10), digit(n), 3],
        };
        n += 1;
    }
    table
}

const fn hex_pairs() -> [[u8; 2]; 256] {
    let letters = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = [letters[n >> 4], letters[n & 15]];
        n += 1;
    }
    table
}

/// Writes a whole number. Counters of calls are mostly below a thousand, so those take one look-up.
#[inline(always)]
pub(super) fn put_integer(out: &mut [u8], at: usize, value: i64) -> usize {
    match value {
        0..=999 => put_short(out, at, value as usize),
        1000..=999_999 => {
            let at = put_short(out, at, value as usize / 1000);
            put_padded(out, at, value as usize % 1000);
            at + 3
        }
        _ => put_long(out, at, value),
    }
}

#[inline(always)]
fn put_short(out: &mut [u8], at: usize, value: usize) -> usize {
    let text = SHORT[value];
    out[at..at + 4].copy_from_slice(&text);
    at + usize::from(text[3])
}

/// Writes exactly three digits; `value` is below 1000.
#[inline(always)]
pub(super) fn put_padded(out: &mut [u8], at: usize, value: usize) {
    out[at..at + 3].copy_from_slice(&PADDED[value][..3]);
}

/// Writes exactly two digits; `value` is below 100.
#[inline(always)]
pub(super) fn put_pair(out: &mut [u8], at: usize, value: usize) {
    out[at..at + 2].copy_from_slice(&PADDED[value][1..3]);
}

#[cold]
fn put_long(out: &mut [u8], at: usize, value: i64) -> usize {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out[at..at + text.len()].copy_from_slice(text);
    at + text.len()
}

/// Writes a UUID in lower case with hyphens.
#[inline(always)]
pub(super) fn put_uuid(out: &mut [u8], at: usize, uuid: &[u8; 16]) -> usize {
    let mut text = [b'-'; UUID_ROOM];
    // Where the two digits of each byte stand: 8-4-4-4-12.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    for (byte, place) in uuid.iter().zip(PLACES) {
        text[place..place + 2].copy_from_slice(&HEX[usize::from(*byte)]);
    }
    out[at..at + UUID_ROOM].copy_from_slice(&text);
    at + UUID_ROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_equal_the_standard_text() {
        let mut numbers: Vec<i64> = (0..3000).collect();
        numbers.extend([
            9_999,
            10_000,
            99_999,
            100_000,
            123_007,
            999_999,
            1_000_000,
            i64::MAX,
            i64::MIN,
            -1,
            -5,
            -999,
        ]);
        for number in numbers {
            let mut out = [0; INTEGER_ROOM + 4];
            let end = put_integer(&mut out, 2, number);
            assert_eq!(std::str::from_utf8(&out[2..end]).unwrap(), number.to_string());
        }
    }

    #[test]
    fn uuids_are_lower_case_with_hyphens() {
        let mut out = [0; UUID_ROOM];
        let uuid = std::array::from_fn(|at| (at * 17) as u8);
        assert_eq!(put_uuid(&mut out, 0, &uuid), UUID_ROOM);
        assert_eq!(&out, b"00112233-4455-6677-8899-aabbccddeeff");
    }
}
