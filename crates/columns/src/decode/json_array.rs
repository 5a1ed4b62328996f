//! A JSON array of objects. It is cut into its elements without recursion; each is then read like a line of NDJSON.
//!
//! Wrong syntax anywhere spoils the whole body: what follows could mean anything.

use super::RECORD_BYTES;
use super::json_nesting::{MOST_LEVELS, string_end};
use super::json_object::{ObjectProblem, ObjectReader};
use super::row_intake::RowIntake;
use memchr::memchr_iter;
use tollbook_kit::fault::Fault;
use tollbook_model::call::CallRecord;

pub(super) fn read(body: &[u8], rows: &mut RowIntake<'_>) -> Result<(), Fault> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut objects = ObjectReader::default();
    let mut elements = Elements { body, at: 0, position: 0 };
    let wrong = |problem: Wrong| problem.into_fault(body);
    elements.expect_start().map_err(wrong)?;
    while let Some((start, element)) = elements.next_element().map_err(wrong)? {
        let position = elements.position;
        if element.len() > RECORD_BYTES {
            rows.reject(position, format!("longer than {RECORD_BYTES} bytes"));
            continue;
        }
        let text = std::str::from_utf8(element)
            .map_err(|error| wrong(Wrong { at: start + error.valid_up_to(), what: "not UTF-8" }))?;
        let mut record = CallRecord::new();
        match objects.read(text, &mut record) {
            Ok(()) => rows.take(position, record),
            Err(ObjectProblem::Content(reason)) => rows.reject(position, reason),
            Err(ObjectProblem::Syntax { offset }) => {
                return Err(wrong(Wrong { at: start + offset, what: "not valid JSON" }));
            }
        }
    }
    Ok(())
}

/// Wrong syntax at an offset of the body.
struct Wrong {
    at: usize,
    what: &'static str,
}

impl Wrong {
    fn into_fault(self, body: &[u8]) -> Fault {
        let before = &body[..self.at.min(body.len())];
        let line = memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        Fault::malformed(format!(
            "{} near line {line}, column {column}; send one JSON array of objects",
            self.what
        ))
    }
}

/// Cuts an array into elements, looking at brackets, strings and commas only.
struct Elements<'b> {
    body: &'b [u8],
    at: usize,
    /// Number of the last element, from 1.
    position: u64,
}

impl<'b> Elements<'b> {
    fn expect_start(&mut self) -> Result<(), Wrong> {
        self.skip_space();
        if self.peek() != Some(b'[') {
            return Err(self.wrong("not an array"));
        }
        self.at += 1;
        Ok(())
    }

    /// The next element with its offset, or none after the array's end, behind which nothing else may stand.
    fn next_element(&mut self) -> Result<Option<(usize, &'b [u8])>, Wrong> {
        self.skip_space();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.skip_space();
                return if self.peek().is_none() {
                    Ok(None)
                } else {
                    Err(self.wrong("text after the array"))
                };
            }
            Some(b',') if self.position > 0 => {
                self.at += 1;
                self.skip_space();
            }
            Some(_) if self.position == 0 => {}
            Some(_) => return Err(self.wrong("no comma between elements")),
            None => return Err(self.wrong("the array does not end")),
        }
        let start = self.at;
        self.skip_element()?;
        self.position += 1;
        let element = self.body[start..self.at].trim_ascii_end();
        if element.is_empty() {
            return Err(self.wrong("an element is missing"));
        }
        Ok(Some((start, element)))
    }

    fn skip_element(&mut self) -> Result<(), Wrong> {
        let mut level = 0usize;
        loop {
            match self.peek() {
                None => return Err(self.wrong("the array does not end")),
                Some(b',' | b']') if level == 0 => return Ok(()),
                Some(b'{' | b'[') if level == MOST_LEVELS => return Err(self.wrong("nested too deep")),
                Some(b'{' | b'[') => level += 1,
                Some(b'}' | b']') if level == 0 => return Err(self.wrong("not valid JSON")),
                Some(b'}' | b']') => level -= 1,
                Some(b'"') => match string_end(self.body, self.at + 1) {
                    Some(end) => {
                        self.at = end;
                        continue;
                    }
                    None => return Err(self.wrong("a string does not end")),
                },
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn wrong(&self, what: &'static str) -> Wrong {
        Wrong { at: self.at, what }
    }
}
