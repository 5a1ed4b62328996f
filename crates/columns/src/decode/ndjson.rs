//! NDJSON: one object a line, and one bad line spoils no other.

use super::RECORD_BYTES;
use super::json_nesting::is_too_deep;
use super::json_object::{ObjectProblem, ObjectReader};
use super::row_intake::RowIntake;
use memchr::memchr;
use tollbook_model::call::CallRecord;

pub(super) fn read<'b>(body: &'b [u8], rows: &mut RowIntake<'_>) {
    let mut objects = ObjectReader::default();
    let (mut rest, mut number) = (body, 0);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line: &'b [u8] = rest[..end].trim_ascii();
        rest = rest.get(end + 1..).unwrap_or_default();
        number += 1;
        if line.is_empty() {
            continue;
        }
        let mut record = CallRecord::new();
        match read_line(line, &mut objects, &mut record) {
            Ok(()) => rows.take(number, record),
            Err(reason) => rows.reject(number, reason),
        }
    }
}

fn read_line<'b>(
    line: &'b [u8],
    objects: &mut ObjectReader,
    record: &mut CallRecord<'b>,
) -> Result<(), String> {
    if line.len() > RECORD_BYTES {
        return Err(format!("longer than {RECORD_BYTES} bytes"));
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to() + 1))?;
    if is_too_deep(line) {
        return Err(String::from("nested too deep"));
    }
    objects.read(text, record).map_err(|problem| match problem {
        ObjectProblem::Syntax { offset } => format!("not valid JSON near byte {}", offset + 1),
        ObjectProblem::Content(reason) => reason,
    })
}
