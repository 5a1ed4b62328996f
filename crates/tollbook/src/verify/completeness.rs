//! A completeness report, and whether files of an export hold what it tells of each hour.
//!
//! Everything is made again from the files: which hour a record is in, how many an hour has, and the root of the tree over
//! them. Lines come one by one; what is kept of an hour does not grow with its records.

use super::hash_text::is_hash;
use super::{NotVerified, mismatch, wrong_use};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use tollbook_model::completeness::HOUR_MS;
use tollbook_model::dataset::Dataset;
use tollbook_model::export_manifest::MERKLE_ALGORITHM;
use tollbook_model::jws::JwsKeys;
use tollbook_model::merkle::{self, MerkleTree};
use tollbook_model::record_signature::split;
use tollbook_model::strict_json::StrictJson;
use tollbook_model::time_range::{instant_text, parse_instant};

/// Largest report: that of a million hours is smaller.
const MOST_REPORT_BYTES: u64 = 256 << 20;
/// Longest record; what takes records in takes none so long.
const MOST_RECORD_BYTES: u64 = 64 << 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;
/// Hours that are told of one by one when they differ.
const MOST_DIFFERENCES: usize = 20;

/// A report as it is written.
#[derive(Deserialize)]
struct Written {
    dataset: String,
    from: String,
    to: String,
    snapshot_at: String,
    watermark: u64,
    algorithm: String,
    hours: Vec<WrittenHour>,
    records: u64,
}

#[derive(Deserialize)]
struct WrittenHour {
    hour: String,
    records: u64,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
    digest: String,
}

/// A report that makes sense in itself.
struct Report {
    dataset: Dataset,
    hours: BTreeMap<i64, WrittenHour>,
}

/// Verifies that the files, which continue each other, hold exactly what the report tells. Signatures in records are verified
/// too if there are keys.
///
/// # Errors
/// A mismatch when anything differs; wrong use when a file is of another kind or cannot be read.
pub(super) fn verify(
    path: &Path,
    files: &[PathBuf],
    keys: Option<&JwsKeys>,
    say: &mut dyn FnMut(&str),
) -> Result<(), NotVerified> {
    let report = read_report(path, say)?;
    let mut found = Found { dataset: report.dataset, keys, hours: BTreeMap::new(), records: 0, signed: 0 };
    for file in files {
        let before = found.records;
        read_lines(file, &mut |number, line| found.take(file, number, line))?;
        say(&format!("{}: {} records", file.display(), found.records - before));
    }
    match (found.signed, keys) {
        (0, _) => {}
        (_, None) => say("note: signatures of records were not checked; give the keys with --jwks"),
        (signed, Some(_)) => say(&format!("{signed} records are signed by themselves")),
    }
    compare(path, &report, &found, say)
}

fn read_report(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Report, NotVerified> {
    let file = File::open(path).map_err(|error| wrong_use(path, &format!("cannot be read: {error}")))?;
    let text = BufReader::new(file).take(MOST_REPORT_BYTES);
    let written = serde_json::from_reader(text).ok().and_then(|StrictJson(json)| {
        let written: Option<Written> = serde_json::from_value(json).ok();
        written
    });
    let words =
        "is no whole completeness report; fetch it from /api/v1/{dataset}/completeness of the service";
    let written = written.ok_or_else(|| wrong_use(path, words))?;
    let Some(dataset) = Dataset::from_name(&written.dataset) else {
        return Err(wrong_use(path, "is of a dataset that is not known here; get a newer tollbook"));
    };
    if written.algorithm != MERKLE_ALGORITHM {
        return Err(wrong_use(path, "digests in a way that is not known here; get a newer tollbook"));
    }
    let Written { from, to, snapshot_at, watermark, records, .. } = &written;
    let told = format!(
        "{}: {dataset}, {from} to {to}, seen {snapshot_at} up to sequence {watermark}: {} hours, {records} records",
        path.display(),
        written.hours.len(),
    );
    let moments = [from, to, snapshot_at].map(|text| parse_instant(text));
    let (count, records) = (written.hours.len(), written.records);
    let hours = written.hours.into_iter().map(|hour| start_of(&hour).map(|start| (start, hour)));
    let hours: Option<BTreeMap<i64, WrittenHour>> = hours.collect();
    let hours = hours.filter(|hours| {
        let sum = hours.values().try_fold(0u64, |sum, hour| sum.checked_add(hour.records));
        hours.len() == count && sum == Some(records) && moments.iter().all(Option::is_some)
    });
    let hours = hours.ok_or_else(|| mismatch(path, "the report contradicts itself"))?;
    say(&told);
    Ok(Report { dataset, hours })
}

/// Start of an hour that says what hours say.
fn start_of(hour: &WrittenHour) -> Option<i64> {
    let start = parse_instant(&hour.hour).filter(|ms| ms.rem_euclid(HOUR_MS) == 0)?;
    let sequences = match (hour.first_sequence, hour.last_sequence) {
        (Some(first), Some(last)) => first <= last && last - first >= hour.records.saturating_sub(1),
        (None, None) => true,
        _ => false,
    };
    (sequences && hour.records > 0 && is_hash(&hour.digest)).then_some(start)
}

/// Takes the lines of a file in their order, each with its number.
type TakeLine<'t> = dyn FnMut(u64, &[u8]) -> Result<(), NotVerified> + 't;

/// Hands over every line without its end.
fn read_lines(path: &Path, take: &mut TakeLine<'_>) -> Result<(), NotVerified> {
    let unreadable = |error: io::Error| wrong_use(path, &format!("cannot be read: {error}"));
    let mut reader = BufReader::with_capacity(READ_BYTES, File::open(path).map_err(unreadable)?);
    let start = reader.fill_buf().map_err(unreadable)?;
    if !matches!(start.first(), None | Some(b'{' | b'[')) {
        let what = "is no export in ndjson or json; export in one of these, and unpack what is packed";
        return Err(wrong_use(path, what));
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read =
            reader.by_ref().take(MOST_RECORD_BYTES).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if read as u64 == MOST_RECORD_BYTES {
            return Err(mismatch(path, &format!("line {number}: it is longer than any record")));
        }
        take(number, line.strip_suffix(b"\n").unwrap_or(&line))?;
    }
    Ok(())
}

/// What the files hold, as far as they were read.
struct Found<'k> {
    dataset: Dataset,
    keys: Option<&'k JwsKeys>,
    hours: BTreeMap<i64, FoundHour>,
    records: u64,
    signed: u64,
}

#[derive(Default)]
struct FoundHour {
    tree: MerkleTree,
    sequences: Option<(u64, u64)>,
}

impl Found<'_> {
    /// Takes the next line: a record, with a comma behind it in an array, or what stands around those of an array.
    fn take(&mut self, path: &Path, number: u64, line: &[u8]) -> Result<(), NotVerified> {
        let wrong = |what: &str| mismatch(path, &format!("line {number}: {what}"));
        let record = line.strip_suffix(b",").unwrap_or(line);
        if matches!(record, b"" | b"[" | b"]" | b"[]") {
            return Ok(());
        }
        let StrictJson(json) = serde_json::from_slice(record).map_err(|_| wrong("it is not JSON"))?;
        let Value::Object(members) = json else { return Err(wrong("a record is no JSON object")) };
        let hour = self.hour_of(path, number, &members)?;
        let leaf = match split(record) {
            Ok(None) => merkle::leaf(record),
            Ok(Some(signed)) => {
                if let Some(keys) = self.keys {
                    let verified = keys.verify_detached(signed.signature, &signed.record);
                    verified.map_err(|why| wrong(&format!("the signature of the record {why}")))?;
                }
                self.signed += 1;
                merkle::leaf(&signed.record)
            }
            Err(_) => return Err(wrong("the signature of the record is malformed")),
        };
        let found = self.hours.entry(hour).or_default();
        found.tree.push(leaf);
        self.records += 1;
        let sequence = self.dataset.sequence_field().and_then(|name| members.get(name));
        if let Some(sequence) = sequence.and_then(Value::as_u64) {
            let (first, last) = found.sequences.unwrap_or((sequence, sequence));
            found.sequences = Some((first.min(sequence), last.max(sequence)));
        }
        Ok(())
    }

    /// Start of the hour that the record is in.
    fn hour_of(&self, path: &Path, number: u64, record: &Map<String, Value>) -> Result<i64, NotVerified> {
        let field = self.dataset.time_field();
        let Some(shown) = record.get(field).and_then(Value::as_str) else {
            let what =
                format!("has no {field} in line {number}; export {} without naming columns", self.dataset);
            return Err(wrong_use(path, &what));
        };
        let ms = parse_instant(shown);
        let ms = ms.ok_or_else(|| mismatch(path, &format!("line {number}: its {field} is no date-time")))?;
        if instant_text(ms) != shown {
            let what = format!("shows times in another form in line {number}; export it with tz=UTC");
            return Err(wrong_use(path, &what));
        }
        Ok(ms - ms.rem_euclid(HOUR_MS))
    }
}

fn compare(
    path: &Path,
    report: &Report,
    found: &Found<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<(), NotVerified> {
    let mut starts: Vec<i64> = report.hours.keys().chain(found.hours.keys()).copied().collect();
    starts.sort_unstable();
    starts.dedup();
    let mut differing = 0;
    for start in &starts {
        let Some(what) = difference(report.hours.get(start), found.hours.get(start)) else { continue };
        differing += 1;
        if differing <= MOST_DIFFERENCES {
            say(&format!("{}: {what}", instant_text(*start)));
        }
    }
    if differing == 0 {
        return Ok(());
    }
    if differing > MOST_DIFFERENCES {
        say(&format!("and {} hours more", differing - MOST_DIFFERENCES));
    }
    let what = format!("{differing} of {} hours differ from what the files hold", starts.len());
    Err(mismatch(path, &what))
}

/// What differs in an hour, in words.
fn difference(told: Option<&WrittenHour>, found: Option<&FoundHour>) -> Option<String> {
    let (told, found) = match (told, found) {
        (Some(told), Some(found)) => (told, found),
        (Some(told), None) => return Some(format!("no record, but the report tells of {}", told.records)),
        (None, Some(found)) => {
            return Some(format!("{} records, but the report tells of none", found.tree.leaves()));
        }
        (None, None) => return None,
    };
    let records = found.tree.leaves();
    if records != told.records {
        return Some(format!("{records} records, but the report tells of {}", told.records));
    }
    let sequences = told.first_sequence.zip(told.last_sequence);
    if found.sequences.is_some_and(|found| Some(found) != sequences) {
        return Some("the sequence numbers of its records are not those that the report tells of".into());
    }
    let differs = hex::encode(found.tree.root()) != told.digest;
    differs.then(|| "its records are not those that the digest was made of, or not in their order".into())
}
