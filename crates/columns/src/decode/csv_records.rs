//! CSV records, one after the other, telling a quoted empty cell (empty text) from one with nothing in it.
//!
//! What the cells mean is not known here.

use super::RECORD_BYTES;
use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use memchr::memchr_iter;

/// Room with which a record's text starts.
const FIRST_TEXT_BYTES: usize = 4 * 1024;

/// The records of a body. Empty lines are passed over.
pub(super) struct CsvRecords<'b> {
    rest: &'b [u8],
    reader: Reader,
    line: u64,
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
    /// The body ends within quotes.
    OpenQuotes,
}

impl<'b> CsvRecords<'b> {
    /// The records of `body`, whose cells `separator` parts.
    pub(super) fn new(body: &'b [u8], separator: u8) -> Self {
        Self {
            rest: body,
            reader: ReaderBuilder::new().delimiter(separator).build(),
            line: 1,
            text: vec![0; FIRST_TEXT_BYTES],
            cells: Vec::new(),
        }
    }

    /// Reads the next record and answers the line on which it starts; none at the end of the body.
    pub(super) fn advance(&mut self) -> Option<(u64, Result<(), RecordProblem>)> {
        let blank = self.rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.consume(blank);
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        self.cells.clear();
        let mut outcome = Ok(());
        let mut record_bytes = 0;
        loop {
            let before = self.rest.len();
            let start = if outcome.is_ok() { self.cells.last().map_or(0, |cell| cell.end) } else { 0 };
            let (cell, record_end) = self.read_cell(start);
            record_bytes += before - self.rest.len();
            match cell {
                _ if record_bytes > RECORD_BYTES => outcome = Err(RecordProblem::TooLong),
                Ok(cell) => self.cells.push(cell),
                Err(problem) => outcome = outcome.and(Err(problem)),
            }
            if record_end {
                return Some((line, outcome));
            }
        }
    }

    /// Reads one cell into the text from `start` on; says as well whether it ends its record.
    fn read_cell(&mut self, start: usize) -> (Result<Cell, RecordProblem>, bool) {
        let raw = self.rest;
        let quoted = raw.first() == Some(&b'"');
        let (mut end, mut overflow) = (start, false);
        loop {
            if end == self.text.len() {
                if end >= RECORD_BYTES {
                    (end, overflow) = (start, true);
                }
                let room = if overflow { start + FIRST_TEXT_BYTES } else { end * 2 };
                self.text.resize(room.max(self.text.len()), 0);
            }
            let (result, taken, written) = self.reader.read_field(self.rest, &mut self.text[end..]);
            let at_end = self.rest.is_empty();
            self.consume(taken);
            end += written;
            let record_end = match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => continue,
                ReadFieldResult::Field { record_end } => record_end,
                ReadFieldResult::End => true,
            };
            let open = at_end && quoted && memchr_iter(b'"', raw).count() % 2 == 1;
            let cell = match (overflow, open) {
                (true, _) => Err(RecordProblem::TooLong),
                (false, true) => Err(RecordProblem::OpenQuotes),
                (false, false) => Ok(Cell { start, end, quoted }),
            };
            return (cell, record_end);
        }
    }

    fn consume(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += memchr_iter(b'\n', taken).count() as u64;
        self.rest = rest;
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
