//! What is inside a file of an export: its records counted, those of JSON also hashed, and their signatures verified.
//!
//! Files come in pieces of any size, and what is kept of them does not grow. Their form is not judged beyond that: they
//! are read for what they claim to be, and a hash of the whole tells whether they are.

use bytes::Bytes;
use flate2::write::GzDecoder;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use tollbook_columns::parquet_file::{ByteSource, rows_in_file};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::JwsKeys;
use tollbook_model::merkle::{Hash, MerkleTree, leaf};
use tollbook_model::record_signature::{Malformed, split};

/// Longest record of JSON; what takes records in takes none so long.
const MOST_RECORD_BYTES: usize = 64 << 20;

/// The records of all files of JSON, one after the other.
pub(super) struct Records<'k> {
    keys: &'k JwsKeys,
    tree: MerkleTree,
    signed: u64,
}

impl<'k> Records<'k> {
    /// None yet. Signatures must be of one of these keys.
    pub(super) fn new(keys: &'k JwsKeys) -> Self {
        Self { keys, tree: MerkleTree::new(), signed: 0 }
    }

    /// The root of the tree over them.
    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Takes the next record. What is no object is none.
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let record = line.strip_suffix(b",").unwrap_or(line);
        if record.first() != Some(&b'{') {
            return Ok(());
        }
        match split(record) {
            Ok(None) => self.tree.push(leaf(record)),
            Ok(Some(signed)) => {
                let verified = self.keys.verify_detached(signed.signature, &signed.record);
                verified.map_err(|why| format!("the signature of the record {why}"))?;
                self.tree.push(leaf(&signed.record));
                self.signed += 1;
            }
            Err(Malformed) => return Err("the signature of the record is malformed".into()),
        }
        Ok(())
    }
}

/// What was found in a file.
pub(super) struct Counted {
    /// Records.
    pub(super) rows: u64,
    /// Records with signatures.
    pub(super) signed: u64,
}

/// The inside of one file, as far as it was read.
pub(super) enum Contents<'r, 'k> {
    Json(RecordLines<'r, 'k>),
    Csv(CsvRows),
    CsvGz(Box<GzDecoder<CsvRows>>),
    /// Read from its end.
    Parquet,
}

impl<'r, 'k> Contents<'r, 'k> {
    /// The inside of a file of this format.
    pub(super) fn new(format: ExportFormat, records: &'r mut Records<'k>) -> Self {
        match format {
            ExportFormat::Json | ExportFormat::Ndjson => Self::Json(RecordLines::new(records)),
            ExportFormat::Csv => Self::Csv(CsvRows::default()),
            ExportFormat::CsvGz => Self::CsvGz(Box::new(GzDecoder::new(CsvRows::default()))),
            ExportFormat::Parquet => Self::Parquet,
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        match self {
            Self::Json(lines) => lines.take(piece),
            Self::Csv(rows) => {
                rows.take(piece);
                Ok(())
            }
            Self::CsvGz(unpacked) => unpacked.write_all(piece).map_err(|_| NO_GZIP.to_owned()),
            Self::Parquet => Ok(()),
        }
    }

    /// What the file, which ends here, had inside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn finish(self, file: File) -> Result<Counted, String> {
        match self {
            Self::Json(lines) => lines.finish(),
            Self::Csv(rows) => Ok(rows.counted()),
            Self::CsvGz(unpacked) => Ok(unpacked.finish().map_err(|_| NO_GZIP.to_owned())?.counted()),
            Self::Parquet => {
                let opened = OpenFile::new(file).ok().and_then(|file| rows_in_file(file).ok());
                let rows = opened.ok_or("it is no whole Parquet file")?;
                Ok(Counted { rows, signed: 0 })
            }
        }
    }
}

const NO_GZIP: &str = "it is not one whole member of gzip";

/// The lines of a file of JSON: each record stands in one, in both forms.
pub(super) struct RecordLines<'r, 'k> {
    records: &'r mut Records<'k>,
    /// Leaves and signatures before this file.
    before: (u64, u64),
    /// The beginning of a line that goes on in the next piece.
    begun: Vec<u8>,
    line: u64,
}

impl<'r, 'k> RecordLines<'r, 'k> {
    fn new(records: &'r mut Records<'k>) -> Self {
        let before = (records.tree.leaves(), records.signed);
        Self { records, before, begun: Vec::new(), line: 1 }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let Some(end) = part.strip_suffix(b"\n") else {
                if self.begun.len() + part.len() > MOST_RECORD_BYTES {
                    return Err(format!("line {}: it is longer than any record", self.line));
                }
                self.begun.extend_from_slice(part);
                continue;
            };
            if self.begun.is_empty() {
                self.end_line(end)?;
            } else {
                self.begun.extend_from_slice(end);
                let line = std::mem::take(&mut self.begun);
                self.end_line(&line)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), String> {
        self.records.take(line).map_err(|what| format!("line {}: {what}", self.line))?;
        self.line += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Counted, String> {
        let last = std::mem::take(&mut self.begun);
        self.end_line(&last)?;
        let (leaves, signed) = self.before;
        Ok(Counted { rows: self.records.tree.leaves() - leaves, signed: self.records.signed - signed })
    }
}

/// Ends of CSV records: line feeds outside quotes. A quote inside quotes is doubled, so it changes nothing.
#[derive(Default)]
pub(super) struct CsvRows {
    quoted: bool,
    ends: u64,
}

impl CsvRows {
    fn take(&mut self, piece: &[u8]) {
        for &byte in piece {
            match byte {
                b'"' => self.quoted = !self.quoted,
                b'\n' if !self.quoted => self.ends += 1,
                _ => {}
            }
        }
    }

    /// All but the header.
    fn counted(&self) -> Counted {
        Counted { rows: self.ends.saturating_sub(1), signed: 0 }
    }
}

impl Write for CsvRows {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.take(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is read where its footer is.
struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl ByteSource for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tollbook_kit::secret::Secret;
    use tollbook_model::jws::JwsKey;
    use tollbook_model::record_signature::push_signed;

    #[test]
    fn csv_records_end_outside_quotes_wherever_pieces_are_cut() {
        for (text, rows) in [
            ("\u{feff}a,b\n", 0),
            ("\u{feff}a\n\n\n", 2),
            ("\u{feff}a,b\n1,\"x\ny\"\n2,\"say \"\"a\nb\"\"\"\n", 2),
        ] {
            for size in [1, 2, 7, 100] {
                let mut counted = CsvRows::default();
                text.as_bytes().chunks(size).for_each(|piece| counted.take(piece));
                assert_eq!(counted.counted().rows, rows, "{text:?} in {size}");
            }
        }
    }

    #[test]
    fn records_are_the_same_in_every_form_and_however_pieces_are_cut() {
        let key = Arc::new(JwsKey::from_seed(&Secret::new([3; 32])));
        let keys = JwsKeys::of([&*key]);
        let records = [r#"{"a":"},\n{"}"#, "{}", r#"{"a":"2"}"#];
        let mut tree = MerkleTree::new();
        records.iter().for_each(|record| tree.push(leaf(record.as_bytes())));
        for is_signed in [false, true] {
            let written = records.map(|record| {
                let mut out = Vec::new();
                if is_signed {
                    push_signed(&mut out, record.as_bytes(), &key.sign_detached(record.as_bytes()));
                } else {
                    out.extend_from_slice(record.as_bytes());
                }
                String::from_utf8(out).unwrap()
            });
            let lines = written.clone().map(|record| record + "\n").concat();
            let array = format!("[\n{}\n]\n", written.join(",\n"));
            for text in [lines, array] {
                for size in [1, 3, 50, 10_000] {
                    let mut all = Records::new(&keys);
                    let mut found = RecordLines::new(&mut all);
                    text.as_bytes().chunks(size).for_each(|piece| found.take(piece).unwrap());
                    let counted = found.finish().unwrap();
                    assert_eq!((counted.rows, counted.signed), (3, if is_signed { 3 } else { 0 }));
                    assert_eq!(all.root(), tree.root());
                }
            }
        }
        let mut none = Records::new(&keys);
        let mut empty = RecordLines::new(&mut none);
        empty.take(b"[]\n").unwrap();
        assert_eq!(empty.finish().unwrap().rows, 0);
    }
}
