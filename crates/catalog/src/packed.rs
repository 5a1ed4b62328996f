//! Lists that are read and written whole, packed into one binary column: row groups and hourly counts of a part,
//! files of an export job.
//!
//! A list is a version byte, the count and the items. Whole numbers are LEB128 varints, hours zigzag varints of the
//! difference to the item before, texts a length and their bytes, record ids 16 raw bytes, hashes 32. Nothing here knows SQL.

use tollbook_model::export_job::JobFile;
use tollbook_model::ports::{Rollup, RowGroup};

/// Written first; a reader refuses every other value.
const VERSION: u8 = 1;

/// Most items for which room is set aside before they were seen: a damaged count must not exhaust memory.
const MOST_RESERVED: usize = 4096;

/// A packed list that this build cannot read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It ends within an item, goes on after the last one, or holds an impossible number or text.
    Damaged,
    /// It was written by another version.
    Version(u8),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged => f.write_str("a packed list is damaged"),
            Self::Version(version) => write!(f, "a packed list has version {version}, not {VERSION}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Packs row groups in file order.
pub(crate) fn pack_row_groups(groups: &[RowGroup]) -> Vec<u8> {
    let mut out = start(groups.len(), 40);
    for group in groups {
        push_number(&mut out, group.rows);
        push_number(&mut out, group.bytes);
        out.extend_from_slice(&group.ids.0);
        out.extend_from_slice(&group.ids.1);
    }
    out
}

/// Unpacks what [`pack_row_groups`] packed.
pub(crate) fn unpack_row_groups(packed: &[u8]) -> Result<Vec<RowGroup>, Unreadable> {
    unpack(packed, |reader| {
        Ok(RowGroup {
            rows: reader.number()?,
            bytes: reader.number()?,
            ids: (reader.bytes()?, reader.bytes()?),
        })
    })
}

/// Packs hourly counts in the order given.
pub(crate) fn pack_rollups(rollups: &[Rollup]) -> Vec<u8> {
    let mut out = start(rollups.len(), 32);
    let mut hour_before = 0i64;
    for rollup in rollups {
        let step = rollup.hour.wrapping_sub(hour_before);
        hour_before = rollup.hour;
        push_number(&mut out, ((step << 1) ^ (step >> 63)).cast_unsigned());
        push_text(&mut out, &rollup.pbx_alias);
        push_text(&mut out, &rollup.direction);
        push_number(&mut out, rollup.calls);
        rollup.results.iter().for_each(|&count| push_number(&mut out, count));
        push_number(&mut out, rollup.duration_s);
        push_number(&mut out, rollup.max_duration_s);
    }
    out
}

/// Unpacks what [`pack_rollups`] packed.
pub(crate) fn unpack_rollups(packed: &[u8]) -> Result<Vec<Rollup>, Unreadable> {
    let mut hour = 0i64;
    unpack(packed, |reader| {
        let zigzag = reader.number()?;
        let step = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        hour = hour.wrapping_add(step);
        Ok(Rollup {
            hour,
            pbx_alias: reader.text()?,
            direction: reader.text()?,
            calls: reader.number()?,
            results: [reader.number()?, reader.number()?, reader.number()?, reader.number()?],
            duration_s: reader.number()?,
            max_duration_s: reader.number()?,
        })
    })
}

/// Packs the files of a job in their order.
pub(crate) fn pack_files(files: &[JobFile]) -> Vec<u8> {
    let mut out = start(files.len(), 80);
    for file in files {
        push_text(&mut out, &file.name);
        push_number(&mut out, file.bytes);
        push_number(&mut out, file.rows);
        out.extend_from_slice(&file.sha256);
    }
    out
}

/// Unpacks what [`pack_files`] packed.
pub(crate) fn unpack_files(packed: &[u8]) -> Result<Vec<JobFile>, Unreadable> {
    unpack(packed, |reader| {
        Ok(JobFile {
            name: reader.text()?,
            bytes: reader.number()?,
            rows: reader.number()?,
            sha256: reader.bytes()?,
        })
    })
}

fn start(items: usize, bytes_each: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + items * bytes_each);
    out.push(VERSION);
    push_number(&mut out, items as u64);
    out
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn unpack<T>(
    packed: &[u8],
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Unreadable> {
    let mut reader = Reader { rest: packed };
    match reader.take(1)? {
        [VERSION] => {}
        other => return Err(Unreadable::Version(other[0])),
    }
    let count = usize::try_from(reader.number()?).map_err(|_| Unreadable::Damaged)?;
    let mut items = Vec::with_capacity(count.min(MOST_RESERVED));
    for _ in 0..count {
        items.push(item(&mut reader)?);
    }
    if reader.rest.is_empty() { Ok(items) } else { Err(Unreadable::Damaged) }
}

struct Reader<'p> {
    rest: &'p [u8],
}

impl<'p> Reader<'p> {
    fn take(&mut self, bytes: usize) -> Result<&'p [u8], Unreadable> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Unreadable::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit only.
            if shift == 63 && bits > 1 {
                return Err(Unreadable::Damaged);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable::Damaged)
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let bytes = usize::try_from(self.number()?).map_err(|_| Unreadable::Damaged)?;
        let text = std::str::from_utf8(self.take(bytes)?).map_err(|_| Unreadable::Damaged)?;
        Ok(text.to_owned())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        self.take(N)?.try_into().map_err(|_| Unreadable::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<RowGroup> {
        [0, 1, 127, 128, 131_072, u64::MAX]
            .map(|n| RowGroup { rows: n, bytes: n / 3, ids: ([n as u8; 16], [0xFF; 16]) })
            .to_vec()
    }

    fn rollups() -> Vec<Rollup> {
        [490_000, 490_001, -3, i64::MIN, i64::MAX]
            .map(|hour| Rollup {
                hour,
                pbx_alias: String::from("zürich-1"),
                direction: String::from("inbound"),
                calls: 300,
                results: [1, 200, 0, u64::MAX],
                duration_s: 86_400,
                max_duration_s: 7,
            })
            .to_vec()
    }

    fn files() -> Vec<JobFile> {
        [(0, "cdr_2026-01-01_2026-01-31.csv.gz"), (u64::MAX, "manifest.jws"), (300, "")]
            .map(|(n, name)| JobFile { name: name.to_owned(), bytes: n, rows: n / 7, sha256: [n as u8; 32] })
            .to_vec()
    }

    #[test]
    fn lists_come_back_as_they_went() {
        assert_eq!(unpack_files(&pack_files(&files())), Ok(files()));
        assert_eq!(unpack_row_groups(&pack_row_groups(&groups())), Ok(groups()));
        assert_eq!(unpack_row_groups(&pack_row_groups(&[])), Ok(Vec::new()));
        assert_eq!(unpack_rollups(&pack_rollups(&rollups())), Ok(rollups()));
    }

    #[test]
    fn the_form_on_disk_is_fixed() {
        let group = RowGroup { rows: 300, bytes: 5, ids: ([7; 16], [9; 16]) };
        let expected = [&[1, 1, 0xAC, 0x02, 5][..], &[7; 16], &[9; 16]].concat();
        assert_eq!(pack_row_groups(&[group]), expected);
        let file = JobFile { name: "a".into(), bytes: 300, rows: 5, sha256: [7; 32] };
        assert_eq!(pack_files(&[file]), [&[1, 1, 1, b'a', 0xAC, 0x02, 5][..], &[7; 32]].concat());
    }

    #[test]
    fn damage_is_refused_at_every_byte() {
        let packed = pack_rollups(&rollups());
        for length in 0..packed.len() {
            assert_eq!(unpack_rollups(&packed[..length]), Err(Unreadable::Damaged), "cut after {length}");
        }
        let packed_files = pack_files(&files());
        for length in 0..packed_files.len() {
            assert_eq!(unpack_files(&packed_files[..length]), Err(Unreadable::Damaged), "cut after {length}");
        }
        let longer = [packed.as_slice(), &[0]].concat();
        assert_eq!(unpack_rollups(&longer), Err(Unreadable::Damaged));
        assert_eq!(unpack_row_groups(&[2, 0]), Err(Unreadable::Version(2)));
        let overlong = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        assert_eq!(unpack_row_groups(&overlong), Err(Unreadable::Damaged));
    }
}
