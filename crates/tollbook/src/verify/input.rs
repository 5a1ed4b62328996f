//! What a file is, told by its content, and the entries of a log one after the other: as many as there are, in constant
//! memory.

use super::broken::Broken;
use super::{NotVerified, mismatch, wrong_use};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use tollbook_model::schema::AUDIT_LOG_FIELDS;
use tollbook_model::strict_json::StrictJson;

/// Longest entry in bytes; a reason is the longest text in one, and bounded.
const MOST_ENTRY_BYTES: u64 = 1 << 20;
/// Longest file that is read at once: keys, or something signed.
const MOST_SMALL_BYTES: u64 = 1 << 20;

/// What a file holds.
pub(super) enum Content {
    /// Entries of an audit log.
    Log(Log),
    /// Something signed, as a compact JWS.
    Jws(String),
}

/// A log that is not read yet.
pub(super) struct Log {
    form: Form,
    reader: BufReader<File>,
}

#[derive(Clone, Copy)]
enum Form {
    Ndjson,
    Json,
}

/// Takes entries in their order.
type TakeEntry<'t> = dyn FnMut(Map<String, Value>) -> Result<(), Broken> + 't;

/// Opens a file and tells what it is.
///
/// # Errors
/// Wrong use, when it cannot be read or is nothing that can be verified.
pub(super) fn open(path: &Path) -> Result<Content, NotVerified> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(|error| unreadable(path, &error))?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    let unfit = match start {
        [0x1F, 0x8B, ..] => "is packed with gzip; unpack it first",
        [b'P', b'A', b'R', b'1', ..] => "is a Parquet file; export the audit log as ndjson or json",
        [0xEF, 0xBB, 0xBF, ..] => "is a CSV file; export the audit log as ndjson or json",
        _ if first.is_none() => return Ok(Content::Log(Log { form: Form::Ndjson, reader })),
        _ if first == Some(&b'{') => return Ok(Content::Log(Log { form: Form::Ndjson, reader })),
        _ if first == Some(&b'[') => return Ok(Content::Log(Log { form: Form::Json, reader })),
        _ => "is neither an audit log as ndjson or json nor a compact JWS",
    };
    let text = read_small(path, reader).unwrap_or_default();
    if is_compact_jws(text.trim()) {
        Ok(Content::Jws(text.trim().into()))
    } else {
        Err(wrong_use(path, unfit))
    }
}

/// The compact JWS that a file is; none when it is something else.
///
/// # Errors
/// Wrong use, when it cannot be read.
pub(super) fn compact_jws(path: &Path) -> Result<Option<String>, NotVerified> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut start = Vec::new();
    let read = file.take(MOST_SMALL_BYTES + 1).read_to_end(&mut start);
    read.map_err(|error| unreadable(path, &error))?;
    let text = std::str::from_utf8(&start).ok().filter(|text| text.len() as u64 <= MOST_SMALL_BYTES);
    Ok(text.map(str::trim).filter(|text| is_compact_jws(text)).map(str::to_owned))
}

/// The text of a small file.
///
/// # Errors
/// Wrong use, when it cannot be read, is too large or no text.
pub(super) fn small_text(path: &Path) -> Result<String, NotVerified> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    read_small(path, BufReader::new(file))
}

fn read_small(path: &Path, reader: BufReader<File>) -> Result<String, NotVerified> {
    let mut text = String::new();
    let read = reader.take(MOST_SMALL_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > MOST_SMALL_BYTES { Err(wrong_use(path, "is too large")) } else { Ok(text) }
}

fn is_compact_jws(text: &str) -> bool {
    let mut parts = 0;
    text.split('.').all(|part| {
        parts += 1;
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }) && parts == 3
}

impl Log {
    /// Hands over every entry.
    ///
    /// # Errors
    /// A mismatch, with its place in the file; wrong use, when columns were left out or the file cannot be read.
    pub(super) fn read(self, path: &Path, take: &mut TakeEntry<'_>) -> Result<(), NotVerified> {
        let mut entries = Entries { path, take, any: false };
        match self.form {
            Form::Ndjson => read_lines(self.reader, &mut entries),
            Form::Json => read_array(self.reader, &mut entries),
        }
    }
}

/// Where the entries of a file go.
struct Entries<'e> {
    path: &'e Path,
    take: &'e mut TakeEntry<'e>,
    any: bool,
}

impl Entries<'_> {
    /// An entry that ends in that line.
    fn push(&mut self, line: u64, entry: Value) -> Result<(), NotVerified> {
        let Value::Object(entry) = entry else { return Err(self.wrong(line, "an entry is no JSON object")) };
        if !std::mem::replace(&mut self.any, true) {
            self.check_columns(&entry)?;
        }
        (self.take)(entry).map_err(|Broken { seq, what }| {
            let seq = seq.map_or(String::new(), |seq| format!(" (seq {seq})"));
            mismatch(self.path, &format!("line {line}{seq}: {what}"))
        })
    }

    /// Whoever left out columns left them out of every entry.
    fn check_columns(&self, first: &Map<String, Value>) -> Result<(), NotVerified> {
        let left_out =
            AUDIT_LOG_FIELDS.iter().find(|field| field.required && !first.contains_key(field.name));
        left_out.map_or(Ok(()), |field| {
            let what = format!("has no {}; export the audit log with all its columns", field.name);
            Err(wrong_use(self.path, &what))
        })
    }

    fn wrong(&self, line: u64, what: &str) -> NotVerified {
        mismatch(self.path, &format!("line {line}: {what}"))
    }
}

fn read_lines(mut reader: BufReader<File>, entries: &mut Entries<'_>) -> Result<(), NotVerified> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = reader.by_ref().take(MOST_ENTRY_BYTES).read_until(b'\n', &mut text);
        match read.map_err(|error| unreadable(entries.path, &error))? {
            0 => break,
            bytes if bytes as u64 == MOST_ENTRY_BYTES => {
                return Err(entries.wrong(line, "it is longer than any entry"));
            }
            _ if text.trim_ascii().is_empty() => continue,
            _ => {}
        }
        let StrictJson(entry) = serde_json::from_slice(&text)
            .map_err(|error| entries.wrong(line, &format!("it is not JSON ({})", plain(&error))))?;
        entries.push(line, entry)?;
    }
    Ok(())
}

fn read_array(reader: BufReader<File>, entries: &mut Entries<'_>) -> Result<(), NotVerified> {
    let (line, left) = (Cell::new(1), Cell::new(MOST_ENTRY_BYTES));
    let counting = Counting { reader, line: &line, left: &left };
    let mut json = serde_json::Deserializer::from_reader(counting);
    let path = entries.path;
    let mut refused = None;
    let seed = Array { entries, line: &line, left: &left, refused: &mut refused };
    let read = seed.deserialize(&mut json).and_then(|()| json.end());
    match (refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(match error.io_error_kind() {
            Some(ErrorKind::InvalidData) => {
                mismatch(path, &format!("line {}: it is longer than any entry", line.get()))
            }
            Some(_) => unreadable(path, &error.into()),
            None => mismatch(path, &format!("line {}: it is not JSON ({})", line.get(), plain(&error))),
        }),
    }
}

/// What the parser says, without the place, which is counted otherwise here.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |place| text[..place].to_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> NotVerified {
    wrong_use(path, &format!("cannot be read: {error}"))
}

/// Counts lines, and bounds what a single entry may take.
struct Counting<'c> {
    reader: BufReader<File>,
    line: &'c Cell<u64>,
    left: &'c Cell<u64>,
}

impl Read for Counting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?);
        let lines = into[..read].iter().filter(|&&byte| byte == b'\n').count();
        self.line.set(self.line.get() + lines as u64);
        Ok(read)
    }
}

/// A JSON array whose items are handed on one by one.
struct Array<'a, 'e> {
    entries: &'a mut Entries<'e>,
    line: &'a Cell<u64>,
    left: &'a Cell<u64>,
    refused: &'a mut Option<NotVerified>,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(StrictJson(entry)) = items.next_element()? {
            if let Err(refused) = self.entries.push(self.line.get(), entry) {
                *self.refused = Some(refused);
                return Err(A::Error::custom("refused"));
            }
            self.left.set(MOST_ENTRY_BYTES);
        }
        Ok(())
    }
}
