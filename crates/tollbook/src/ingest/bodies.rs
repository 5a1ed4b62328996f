//! A file as bodies of bounded size, cut only where a record ends.
//!
//! Cuts depend on the file alone: sent again, it makes the same bodies. Rows without a key of their own are told apart
//! by counting equal ones within a body, so equal rows that lie close together must stay in one.

use std::collections::HashSet;
use std::io::{self, Read};

/// Where a file may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// At line ends outside of quotes: delimited text.
    Delimited,
    /// At every line end: one JSON object a line.
    JsonLines,
    /// Nowhere.
    Whole,
}

/// Bytes read beyond a body.
const LOOK_AHEAD: usize = 64 * 1024;

/// A body of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileBody {
    /// What is sent.
    pub(super) bytes: Vec<u8>,
    /// Where its lines stand in the file.
    pub(super) lines: LinesOfFile,
}

/// Where the lines of a body stand in its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LinesOfFile {
    /// Lines at the start of the body that repeat the file's header.
    repeated: u64,
    /// Lines of the file before the others.
    before: u64,
}

impl LinesOfFile {
    /// The line of the file for a line of the body, both from 1.
    pub(super) fn in_file(self, line: u64) -> u64 {
        if line <= self.repeated { line } else { line - self.repeated + self.before }
    }
}

/// Reads a file body by body.
pub(super) struct Bodies<R> {
    reader: R,
    bound: usize,
    header_lines: usize,
    pending: Vec<u8>,
    header: Vec<u8>,
    /// Lines of the file that were taken.
    lines: u64,
    shape: Option<Shape>,
    ended: bool,
}

impl<R: Read> Bodies<R> {
    /// Bodies of at most `bound` bytes (more, only if a single record is longer). The first `header_lines` lines are
    /// repeated at the start of every body.
    pub(super) fn new(reader: R, bound: usize, header_lines: usize) -> Self {
        let (pending, header) = (Vec::new(), Vec::new());
        Self { reader, bound, header_lines, pending, header, lines: 0, shape: None, ended: false }
    }

    /// The next body; none at the end of the file.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn next_body(&mut self) -> io::Result<Option<FileBody>> {
        let room = self.bound.saturating_sub(self.header.len()).max(1);
        // A little more than a body, to see what would follow a cut.
        let mut wanted = room + LOOK_AHEAD;
        loop {
            self.fill(wanted)?;
            if self.pending.is_empty() {
                return Ok(None);
            }
            let shape = *self.shape.get_or_insert_with(|| shape_of(&self.pending));
            if self.ended && self.pending.len() <= room {
                return Ok(Some(self.take(self.pending.len())));
            }
            let cut = match shape {
                Shape::Whole => None,
                Shape::JsonLines => {
                    best_end(&self.pending, &line_ends(&self.pending).collect::<Vec<_>>(), room)
                }
                Shape::Delimited => best_end(&self.pending, &ends_outside_quotes(&self.pending), room),
            };
            match cut {
                Some(cut) => return Ok(Some(self.take(cut))),
                None if self.ended => {
                    // One record longer than a body, or a file that must stay whole: the server says if it is too much.
                    let end = first_end(&self.pending, shape).unwrap_or(self.pending.len());
                    return Ok(Some(self.take(end)));
                }
                None => wanted = self.pending.len() + self.bound,
            }
        }
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while !self.ended && self.pending.len() < wanted {
            let missing = (wanted - self.pending.len()) as u64;
            let read = self.reader.by_ref().take(missing).read_to_end(&mut self.pending)?;
            self.ended = read == 0;
        }
        // Whether this was the end shows only at the next read.
        if !self.ended && self.pending.len() == wanted {
            let mut one = [0u8; 1];
            match self.reader.read(&mut one)? {
                0 => self.ended = true,
                _ => self.pending.push(one[0]),
            }
        }
        Ok(())
    }

    fn take(&mut self, cut: usize) -> FileBody {
        let rest = self.pending.split_off(cut);
        let piece = std::mem::replace(&mut self.pending, rest);
        let lines = LinesOfFile { repeated: line_count(&self.header), before: self.lines };
        self.lines += line_count(&piece);
        let bytes = if self.header.is_empty() { piece } else { [&self.header[..], &piece].concat() };
        if self.header_lines > 0 && self.header.is_empty() {
            let end = line_ends(&bytes).nth(self.header_lines - 1).unwrap_or(bytes.len());
            self.header = bytes[..end].to_vec();
        }
        FileBody { bytes, lines }
    }
}

fn line_count(bytes: &[u8]) -> u64 {
    line_ends(bytes).count() as u64
}

/// Positions behind every line end.
fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1)
}

/// Rows on either side of a cut among which none may be equal.
const APART: usize = 64;

/// The last end of a row within `room` that does not part equal rows; if every one does, simply the last.
fn best_end(bytes: &[u8], ends: &[usize], room: usize) -> Option<usize> {
    let within = ends.partition_point(|&end| end <= room);
    let row = |at: usize| &bytes[if at == 0 { 0 } else { ends[at - 1] }..ends[at]];
    let parts_no_equals = |&count: &usize| {
        let before: HashSet<&[u8]> = (count.saturating_sub(APART)..count).map(row).collect();
        (count..ends.len().min(count + APART)).all(|at| !before.contains(row(at)))
    };
    let count = (1..=within).rev().take(4 * APART).find(parts_no_equals).unwrap_or(within);
    count.checked_sub(1).map(|last| ends[last])
}

/// Positions behind every row. Quotes inside a quoted cell are doubled, so an even number so far means outside.
fn ends_outside_quotes(bytes: &[u8]) -> Vec<usize> {
    let (mut quoted, mut ends) = (false, Vec::new());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => ends.push(at + 1),
            _ => {}
        }
    }
    ends
}

fn first_end(bytes: &[u8], shape: Shape) -> Option<usize> {
    let mut quoted = false;
    bytes
        .iter()
        .position(|byte| {
            quoted ^= *byte == b'"' && shape == Shape::Delimited;
            *byte == b'\n' && !quoted && shape != Shape::Whole
        })
        .map(|at| at + 1)
}

fn shape_of(start: &[u8]) -> Shape {
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    match text.first() {
        Some(b'[') => Shape::Whole,
        Some(b'{') => {
            let line = &text[..text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())];
            let complete = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            if complete { Shape::JsonLines } else { Shape::Whole }
        }
        _ => Shape::Delimited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str, bound: usize, header_lines: usize) -> Vec<String> {
        let mut bodies = Bodies::new(text.as_bytes(), bound, header_lines);
        let mut all = Vec::new();
        while let Some(body) = bodies.next_body().unwrap() {
            all.push(String::from_utf8(body.bytes).unwrap());
        }
        all
    }

    #[test]
    fn files_are_cut_where_records_end() {
        for (text, bound, header_lines, wanted) in [
            ("", 10, 0, vec![]),
            ("a\nb\n", 10, 0, vec!["a\nb\n"]),
            ("a\nb\nc", 4, 0, vec!["a\nb\n", "c"]),
            ("a\nb\n", 4, 0, vec!["a\nb\n"]),
            ("aa\nbb\ncc\n", 7, 0, vec!["aa\nbb\n", "cc\n"]),
            ("h\n1\n2\n3\n", 6, 1, vec!["h\n1\n2\n", "h\n3\n"]),
            ("a,\"x\ny\"\nb\n", 9, 0, vec!["a,\"x\ny\"\n", "b\n"]),
            ("a,\"x\"\"\ny\"\nb\n", 7, 0, vec!["a,\"x\"\"\ny\"\n", "b\n"]),
            ("toolongline\nb\n", 4, 0, vec!["toolongline\n", "b\n"]),
            ("{\"a\":\"\\\"\"}\n{\"b\":1}\n", 12, 0, vec!["{\"a\":\"\\\"\"}\n", "{\"b\":1}\n"]),
            ("{\n\"a\":1\n}\n", 4, 0, vec!["{\n\"a\":1\n}\n"]),
            ("[\n1,\n2]\n", 4, 0, vec!["[\n1,\n2]\n"]),
        ] {
            assert_eq!(bodies(text, bound, header_lines), wanted, "{text:?} by {bound}");
        }
    }

    #[test]
    fn lines_of_bodies_are_found_in_the_file() {
        let file = "h\n1\n\"2\n3\"\n4\n5\n6";
        for (header_lines, bound) in [(0, 4), (0, 100), (1, 6), (1, 9), (2, 9)] {
            let mut bodies = Bodies::new(file.as_bytes(), bound, header_lines);
            let mut count = 0;
            while let Some(body) = bodies.next_body().unwrap() {
                count += 1;
                for (at, line) in (1..).zip(String::from_utf8(body.bytes).unwrap().lines()) {
                    let in_file = body.lines.in_file(at) as usize;
                    assert_eq!(file.lines().nth(in_file - 1), Some(line), "{header_lines} {bound}: {at}");
                }
            }
            assert!(count > 1 || bound == 100, "{header_lines} {bound}: it must be cut to show anything");
        }
    }

    #[test]
    fn equal_rows_that_lie_together_stay_together() {
        assert_eq!(bodies("a\nb\nb\nc\n", 5, 0), ["a\n", "b\nb\n", "c\n"]);
        assert_eq!(bodies("a\nb\nc\nb\nd\n", 7, 0), ["a\n", "b\nc\nb\n", "d\n"]);
        assert_eq!(
            bodies("b\nb\nb\n", 4, 0),
            ["b\nb\n", "b\n"],
            "more equal rows than a body holds must be parted"
        );
    }

    #[test]
    fn nothing_is_lost_at_any_bound() {
        let text: String = (0..50).map(|at| format!("row {at},\"multi\nline\"\n")).collect();
        for bound in 1..200 {
            assert_eq!(bodies(&text, bound, 0).concat(), text, "{bound}");
        }
    }
}
