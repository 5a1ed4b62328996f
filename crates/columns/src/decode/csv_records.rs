//! CSV records, one after the other, telling a quoted empty cell (empty text) from one with nothing in it.
//!
//! What the cells mean is not known here.

use super::RECORD_BYTES;
use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use memchr::{memchr, memchr_iter, memchr2, memchr3, memrchr};

/// Room with which a record's text starts.
const FIRST_TEXT_BYTES: usize = 4 * 1024;

/// The records of a body. Empty lines are passed over.
///
/// Quoted cells may span lines. Where that makes no record, a quote was left open, and only its own line is lost: reading
/// goes on with the next line. Lines that were looked at in vain are then read one by one, so that no body is read more
/// than about twice.
pub(super) struct CsvRecords<'b> {
    body: &'b [u8],
    at: usize,
    line: u64,
    /// What parts lines when they are read one by one: a carriage return only where there are no line feeds.
    line_end: u8,
    separator: u8,
    /// Records that begin before this offset end with their line.
    one_by_one_until: usize,
    reader: Reader,
    text: Vec<u8>,
    cells: Vec<Cell>,
}

/// Where a cell stands in the record's text.
#[derive(Clone, Copy)]
struct Cell {
    start: usize,
    end: usize,
    quoted: bool,
}

/// Why a record could not be read. The records after it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordProblem {
    /// Over [`RECORD_BYTES`].
    TooLong,
    /// Its line, or the body, ends within quotes.
    OpenQuotes,
}

impl<'b> CsvRecords<'b> {
    /// The records of `body`, whose cells `separator` parts.
    pub(super) fn new(body: &'b [u8], separator: u8) -> Self {
        Self {
            body,
            at: 0,
            line: 1,
            line_end: if memchr(b'\n', body).is_some() { b'\n' } else { b'\r' },
            separator,
            one_by_one_until: 0,
            reader: ReaderBuilder::new().delimiter(separator).build(),
            text: vec![0; FIRST_TEXT_BYTES],
            cells: Vec::new(),
        }
    }

    /// Reads the next record and answers the line on which it starts; none at the end of the body. A record that spans
    /// lines and has not `width` cells counts as one with an open quote.
    pub(super) fn advance(&mut self, width: Option<usize>) -> Option<(u64, Result<(), RecordProblem>)> {
        let blank = self.rest().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.consume(blank);
        if self.rest().is_empty() {
            return None;
        }
        let (line, start) = (self.line, self.at);
        if start >= self.one_by_one_until {
            let (outcome, length) = self.read_record(self.rest());
            let record = &self.rest()[..length];
            let Some(last_line) = self.last_line_of(record) else {
                // A record too long for the reader may go on behind what it has read.
                self.consume(if outcome.is_err() { self.line_length() } else { length });
                return Some((line, outcome));
            };
            let fits = width.is_none_or(|width| width == self.len());
            if outcome.is_ok() && fits && is_well_quoted(record, self.separator) {
                self.consume(length);
                return Some((line, outcome));
            }
            self.one_by_one_until = start + last_line;
            self.reader.reset();
        }
        let length = self.line_length();
        let (outcome, read) = self.read_record(&self.rest()[..length]);
        self.consume(if outcome.is_err() { length } else { read });
        Some((line, outcome))
    }

    /// May the record read last be cut off within its last cell? So it may when the body ends with it instead of a line
    /// end, unless a closing quote says that the cell is whole: half a number is a number too.
    pub(super) fn may_be_cut_off(&self) -> bool {
        let last_is_quoted = self.cells.last().is_some_and(|cell| cell.quoted);
        let ended = match self.body.last() {
            Some(b'\r' | b'\n') => true,
            Some(b'"') => last_is_quoted,
            _ => false,
        };
        self.rest().is_empty() && !ended
    }

    /// Reads the record with which `input` begins, and answers how long it is. At most [`RECORD_BYTES`] are read.
    fn read_record(&mut self, input: &[u8]) -> (Result<(), RecordProblem>, usize) {
        let input = &input[..input.len().min(RECORD_BYTES + 1)];
        self.cells.clear();
        let mut length = 0;
        loop {
            let start = self.cells.last().map_or(0, |cell| cell.end);
            let cell = self.read_cell(&input[length..], start);
            length += cell.length;
            if length > RECORD_BYTES {
                self.reader.reset();
                return (Err(RecordProblem::TooLong), length);
            }
            if cell.open {
                self.reader.reset();
                return (Err(RecordProblem::OpenQuotes), length);
            }
            self.cells.push(cell.place);
            if cell.ends_record {
                return (Ok(()), length);
            }
        }
    }

    /// Reads the cell with which `input` begins into the text from `start` on.
    fn read_cell(&mut self, input: &[u8], start: usize) -> ReadCell {
        let quoted = input.first() == Some(&b'"');
        let (mut length, mut end) = (0, start);
        loop {
            if end == self.text.len() {
                self.text.resize(end * 2, 0);
            }
            let at_end = length == input.len();
            let (result, taken, written) = self.reader.read_field(&input[length..], &mut self.text[end..]);
            length += taken;
            end += written;
            let ends_record = match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => continue,
                ReadFieldResult::Field { record_end } => record_end,
                ReadFieldResult::End => true,
            };
            let open = at_end && quoted && memchr_iter(b'"', input).count() % 2 == 1;
            return ReadCell { place: Cell { start, end, quoted }, length, ends_record, open };
        }
    }

    /// Where the last of a record's lines begins; none when it is one line.
    fn last_line_of(&self, record: &[u8]) -> Option<usize> {
        let inner = record.strip_suffix(b"\n").unwrap_or(record);
        let inner = inner.strip_suffix(b"\r").unwrap_or(inner);
        memrchr(self.line_end, inner).map(|at| at + 1)
    }

    /// Bytes up to the end of the line, with it.
    fn line_length(&self) -> usize {
        memchr(self.line_end, self.rest()).map_or(self.rest().len(), |at| at + 1)
    }

    fn rest(&self) -> &'b [u8] {
        &self.body[self.at..]
    }

    fn consume(&mut self, bytes: usize) {
        self.line += memchr_iter(b'\n', &self.rest()[..bytes]).count() as u64;
        self.at += bytes;
    }

    /// Cells of the record read last.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cells of the record read last: their bytes, and whether they stood in quotes.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.cells.iter().map(|cell| (&self.text[cell.start..cell.end], cell.quoted))
    }
}

/// A cell that was read.
struct ReadCell {
    place: Cell,
    /// Bytes of the input that it takes, with the separator or line end behind it.
    length: usize,
    ends_record: bool,
    /// Does the input end within its quotes?
    open: bool,
}

/// Does no text follow the closing quote of a cell that spans lines? That quote would have opened another cell, and the
/// one before it was left open.
fn is_well_quoted(record: &[u8], separator: u8) -> bool {
    let mut at = 0;
    while at < record.len() {
        if record[at] == b'"' {
            let Some(length) = quoted_length(&record[at..]) else { return false };
            let spans_lines = memchr2(b'\n', b'\r', &record[at..at + length]).is_some();
            at += length;
            let followed =
                record.get(at).is_some_and(|&after| after != separator && !after.is_ascii_whitespace());
            if spans_lines && followed {
                return false;
            }
        }
        let Some(end) = memchr3(separator, b'\n', b'\r', &record[at..]) else { return true };
        at += end + 1;
    }
    true
}

/// Length of the quoted text with which `input` begins, with its quotes; none when it does not end.
fn quoted_length(input: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr(b'"', &input[at..])? + 1;
        if input.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}
