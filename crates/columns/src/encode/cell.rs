//! The inner loop: rows of a batch written cell by cell into a buffer that is made large enough beforehand.
//!
//! What is special about a value (quotes, escapes, the formula guard) has been dealt with when the cells were
//! prepared; here everything is copied or is digits.

use super::digits::{INTEGER_ROOM, UUID_ROOM, put_integer, put_uuid};
use super::instants::{INSTANT_ROOM, InstantWriter};
use super::rendered::{Fixed, Rendered, SLACK, put};
use arrow_buffer::NullBuffer;
use std::borrow::Cow;
use std::ops::Range;
use tollbook_kit::fault::Fault;

/// Rows for which room is made at once: little enough to stay in the first-level cache.
const ROWS_AT_ONCE: usize = 128;
/// Texts longer than this are summed one by one when room is made for them.
const USUAL_TEXT: usize = 256;

/// The values of one column of a batch.
pub(super) enum Values<'a> {
    /// The same text in every row.
    Literal(Fixed),
    /// Texts rendered whole, by key. The one after the last stands for no value.
    Keyed { keys: Cow<'a, [i32]>, texts: Rendered, longest: usize },
    /// Texts rendered whole, by row; also those for no value.
    Rows(Rendered),
    /// Texts that can be copied as they are.
    Text { offsets: &'a [i32], bytes: &'a [u8] },
    /// The same, by key.
    KeyedText { keys: &'a [i32], offsets: &'a [i32], bytes: &'a [u8], longest: usize },
    /// UUIDs.
    Uuid(&'a [[u8; 16]]),
    /// Whole numbers.
    Integer(&'a [i64]),
    /// Moments in microseconds.
    Instant(&'a [i64]),
}

/// What stands around the values of one column.
#[derive(Clone)]
pub(super) struct Around {
    /// Before a value: a JSON member's name. Nothing in CSV.
    pub(super) before: Fixed,
    /// Behind a value: CSV's separator, or the closing quote of a JSON string, if it is one.
    pub(super) after: Option<u8>,
    /// What an empty text that may be copied is written as, without `before` and `after`.
    pub(super) empty: &'static [u8],
    /// Is `after` written also where there is no value?
    pub(super) keeps_place: bool,
}

impl Around {
    /// Appends a value with everything around it.
    pub(super) fn push(&self, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(self.before.as_bytes());
        value(out);
        out.extend(self.after);
    }

    /// Appends what stands for no value.
    pub(super) fn push_absent(&self, out: &mut Vec<u8>) {
        if self.keeps_place {
            out.extend(self.after);
        }
    }
}

/// One column of a batch, ready to be written.
pub(super) struct Cell<'a> {
    around: &'a Around,
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

impl<'a> Cell<'a> {
    /// A cell. `nulls` tells rows without a value; [`Values::Rows`] and [`Values::Literal`] do without.
    pub(super) fn new(around: &'a Around, nulls: Option<&'a NullBuffer>, values: Values<'a>) -> Self {
        Self { around, nulls: nulls.filter(|nulls| nulls.null_count() > 0), values }
    }

    /// Bytes that these rows take at most.
    fn room(&self, rows: Range<usize>) -> usize {
        let count = rows.len();
        let around = self.around.before.len() + 1;
        match &self.values {
            Values::Literal(text) => count * text.len(),
            Values::Keyed { longest, .. } if *longest <= USUAL_TEXT => count * longest,
            Values::Keyed { keys, texts, .. } => {
                rows.map(|row| texts.len(self.key(keys, row).unwrap_or(texts.count() - 1))).sum()
            }
            Values::Rows(texts) => texts.len_of(rows.start, rows.end),
            Values::Text { offsets, .. } => {
                count * (around + self.around.empty.len())
                    + (offsets[rows.end] - offsets[rows.start]) as usize
            }
            Values::KeyedText { longest, .. } if *longest <= USUAL_TEXT => {
                count * (around + self.around.empty.len() + longest)
            }
            Values::KeyedText { keys, offsets, .. } => {
                let text = |key: usize| (offsets[key + 1] - offsets[key]) as usize;
                let texts: usize = rows.filter_map(|row| self.key(keys, row)).map(text).sum();
                count * (around + self.around.empty.len()) + texts
            }
            Values::Uuid(_) => count * (around + UUID_ROOM),
            Values::Integer(_) => count * (around + INTEGER_ROOM),
            Values::Instant(_) => count * (around + INSTANT_ROOM),
        }
    }

    #[inline(always)]
    fn has_value(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }

    fn key(&self, keys: &[i32], row: usize) -> Option<usize> {
        self.has_value(row).then(|| keys[row] as usize)
    }

    /// Writes the cell of a row and returns the position after. `NAMED`: values have something before them.
    #[inline(always)]
    fn put<const NAMED: bool>(
        &self,
        out: &mut [u8],
        mut at: usize,
        row: usize,
        instants: &mut InstantWriter<'_>,
    ) -> Result<usize, Fault> {
        match &self.values {
            Values::Literal(text) => return Ok(text.put(out, at)),
            Values::Keyed { keys, texts, .. } => {
                let absent = texts.count() - 1;
                let text = if self.has_value(row) { keys[row] as usize } else { absent };
                return Ok(texts.put(out, at, text));
            }
            Values::Rows(texts) => return Ok(texts.put(out, at, row)),
            _ if !self.has_value(row) => {
                return Ok(if self.around.keeps_place { self.put_after(out, at) } else { at });
            }
            _ => {}
        }
        if NAMED {
            at = self.around.before.put(out, at);
        }
        at = match &self.values {
            Values::Text { offsets, bytes } => self.put_text(out, at, offsets, bytes, row),
            Values::KeyedText { keys, offsets, bytes, .. } => {
                self.put_text(out, at, offsets, bytes, keys[row] as usize)
            }
            Values::Uuid(uuids) => put_uuid(out, at, &uuids[row]),
            Values::Integer(numbers) => put_integer(out, at, numbers[row]),
            Values::Instant(moments) => instants.put(out, at, moments[row])?,
            Values::Literal(_) | Values::Keyed { .. } | Values::Rows(_) => at,
        };
        Ok(self.put_after(out, at))
    }

    #[inline(always)]
    fn put_text(&self, out: &mut [u8], at: usize, offsets: &[i32], bytes: &[u8], n: usize) -> usize {
        let (from, to) = (offsets[n] as usize, offsets[n + 1] as usize);
        if from == to {
            let empty = self.around.empty;
            out[at..at + empty.len()].copy_from_slice(empty);
            return at + empty.len();
        }
        put(out, at, bytes, from, to - from)
    }

    #[inline(always)]
    fn put_after(&self, out: &mut [u8], at: usize) -> usize {
        match self.around.after {
            Some(byte) => {
                out[at] = byte;
                at + 1
            }
            None => at,
        }
    }
}

/// What stands around a record.
pub(super) struct Frame {
    /// Before it.
    pub(super) open: Fixed,
    /// Behind it.
    pub(super) close: Fixed,
    /// Is it an object, whose first comma becomes `{`?
    pub(super) braced: bool,
}

/// Appends `rows` records to `out`.
///
/// # Errors
/// A value that cannot be written. `out` then ends somewhere within these records.
pub(super) fn write_records(
    frame: &Frame,
    cells: &[Cell<'_>],
    rows: usize,
    instants: &mut InstantWriter<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    for from in (0..rows).step_by(ROWS_AT_ONCE) {
        let part = from..rows.min(from + ROWS_AT_ONCE);
        let frames = part.len() * (frame.open.len() + frame.close.len() + 1);
        let room = frames + cells.iter().map(|cell| cell.room(part.clone())).sum::<usize>() + SLACK;
        let start = out.len();
        out.resize(start + room, 0);
        let space = &mut out[start..];
        let written = if frame.braced {
            write_part::<true>(frame, cells, part, instants, space)?
        } else {
            write_part::<false>(frame, cells, part, instants, space)?
        };
        out.truncate(start + written);
    }
    Ok(())
}

fn write_part<const BRACED: bool>(
    frame: &Frame,
    cells: &[Cell<'_>],
    rows: Range<usize>,
    instants: &mut InstantWriter<'_>,
    out: &mut [u8],
) -> Result<usize, Fault> {
    let mut at = 0;
    for row in rows {
        at = frame.open.put(out, at);
        let start = at;
        for cell in cells {
            at = cell.put::<BRACED>(out, at, row, instants)?;
        }
        if BRACED {
            out[start] = b'{';
            at = at.max(start + 1);
        }
        at = frame.close.put(out, at);
    }
    Ok(at)
}
