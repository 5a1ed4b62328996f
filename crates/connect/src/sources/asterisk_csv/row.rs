//! One row with its columns read: texts, times, counts. What they mean for the call is decided in `call`.

use super::columns::{self, Columns};
use crate::delimited::Fields;
use crate::normalise::local_time::{LocalZone, Moment, parse_local};
use crate::rows::RowProblem;
use std::borrow::Cow;

/// Names of the 16 columns, as Asterisk's documentation has them.
const NAMES: [&str; columns::BASE] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
];

/// A row whose required columns were read.
#[derive(Debug)]
pub(super) struct Row<'f> {
    fields: &'f Fields,
    /// Where the optional columns are.
    pub(super) columns: Columns,
    /// Start of the call.
    pub(super) start: Moment,
    /// Answer, if the column has one.
    pub(super) answer: Option<Moment>,
    /// End; none when it lies before the start, as after a step of the PBX's clock.
    pub(super) end: Option<Moment>,
    /// Seconds from start to end; none when negative.
    pub(super) duration: Option<i64>,
    /// Seconds from answer to end; none when negative.
    pub(super) billsec: Option<i64>,
}

impl<'f> Row<'f> {
    /// Reads the times and counts of a row.
    pub(super) fn read(fields: &'f Fields, columns: Columns, zone: &LocalZone) -> Result<Self, RowProblem> {
        let duration = count(fields, columns::DURATION)?;
        let billsec = count(fields, columns::BILLSEC)?;
        // The unique id holds the moment in which the channel was made, which tells the two repeated hours apart.
        let made_ms =
            columns.uniqueid.or(columns.linkedid).and_then(|at| columns::uniqueid_seconds(fields.get(at)));
        let start = moment(fields, columns::START, zone, made_ms.map(|seconds| seconds * 1000))?
            .ok_or_else(|| RowProblem::new("start: is required"))?;
        let expected_end = duration.and_then(|seconds| seconds.checked_mul(1000)?.checked_add(start.ms));
        let answer = moment(fields, columns::ANSWER, zone, Some(start.ms))?;
        let end = moment(fields, columns::END, zone, expected_end)?.filter(|end| end.ms >= start.ms);
        Ok(Self { fields, columns, start, answer, end, duration, billsec })
    }

    /// The text of a column; bytes that are no UTF-8 read as U+FFFD. Empty when there is none.
    pub(super) fn text(&self, at: usize) -> Cow<'f, str> {
        String::from_utf8_lossy(self.fields.get(at))
    }

    /// The text of an optional column.
    pub(super) fn optional_text(&self, at: Option<usize>) -> Option<Cow<'f, str>> {
        at.map(|at| self.text(at))
    }

    /// Is there anything in the column, be it empty quotes?
    pub(super) fn is_present(&self, at: usize) -> bool {
        self.fields.is_present(at)
    }

    /// The column's bytes in percent-encoding, when they are no UTF-8: so nothing of them is lost, and digits in
    /// them stay as readable to the privacy rules as in any other text.
    pub(super) fn encoded_bytes(&self, at: usize) -> Option<String> {
        let bytes = self.fields.get(at);
        if std::str::from_utf8(bytes).is_ok() {
            return None;
        }
        const KEPT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');
        Some(percent_encoding::percent_encode(bytes, KEPT).to_string())
    }

    /// The name and position of every column of the row.
    pub(super) fn named_columns(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let columns = self.columns;
        let optional = [
            ("uniqueid", columns.uniqueid),
            ("userfield", columns.userfield),
            ("peeraccount", columns.peeraccount),
            ("linkedid", columns.linkedid),
            ("sequence", columns.sequence),
        ];
        let base = NAMES.into_iter().enumerate().map(|(at, name)| (name, at));
        base.chain(optional.into_iter().filter_map(|(name, at)| Some((name, at?))))
    }
}

fn moment(
    fields: &Fields,
    at: usize,
    zone: &LocalZone,
    near: Option<i64>,
) -> Result<Option<Moment>, RowProblem> {
    let text = String::from_utf8_lossy(fields.get(at));
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        || RowProblem::new(format!("{}: must be a local time such as 2026-11-22 14:51:46", NAMES[at]));
    let local = parse_local(&text).ok_or_else(wrong)?;
    zone.moment(local, near).map(Some).ok_or_else(wrong)
}

/// A count of seconds; a negative one (the clock stepped back during the call) is no count.
fn count(fields: &Fields, at: usize) -> Result<Option<i64>, RowProblem> {
    let text = String::from_utf8_lossy(fields.get(at));
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || RowProblem::new(format!("{}: must be a whole number of seconds", NAMES[at]));
    // Some versions are set up to write fractions; whole seconds are what the column means.
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) => return Err(wrong()),
        None => &text,
    };
    let seconds: i64 = whole.parse().map_err(|_| wrong())?;
    Ok((seconds >= 0).then_some(seconds))
}
