//! `asterisk-csv`: the bytes of a `Master.csv` as Asterisk's `cdr_csv` writes it (`sources.md` section 2.1).
//!
//! Rows of a call are not joined: one row is one record, as the PBX wrote it. Files are not watched here.

mod call;
mod channel;
mod columns;
mod row;

use crate::delimited::{self, Dialect, Ending, Fields, Records};
use crate::normalise::direction::Lines;
use crate::normalise::local_time::LocalZone;
use crate::normalise::occurrence::Occurrences;
use crate::rows::{RowProblem, Rows};
use crate::settings::SettingsReader;
use columns::{Columns, SingleOptional};
use row::Row;
use serde_json::{Map, Value};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{Connector, RecordSink, RowReport, SourceBody};
use tollbook_model::source::Source;
use tollbook_model::tenant::Tenant;

const DIALECT: Dialect = Dialect { separator: b',', quote: Some(b'"'), skip_blanks: false };

/// The connector for `Master.csv` files.
///
/// Settings: `zone` (IANA name of the zone the PBX writes in; UTC is assumed, and every record marked so, when absent),
/// `trunks` (peer names of carrier lines), `extension_pattern`, `outside_contexts` and `inside_contexts` (dialplan
/// contexts in which calls enter from a carrier or a phone; a context named with `-` and more behind counts too),
/// `single_optional_column` (what the one further column of 17 and 20 column rows is: `by_shape`, `uniqueid`,
/// `userfield`).
#[derive(Debug)]
pub struct AsteriskCsv;

/// The settings, read.
#[derive(Debug)]
struct Settings {
    zone: LocalZone,
    lines: Lines,
    outside_contexts: Vec<String>,
    inside_contexts: Vec<String>,
    single_optional: SingleOptional,
}

impl Settings {
    fn read(given: &Map<String, Value>) -> Result<(Self, Map<String, Value>), Fault> {
        let mut reader = SettingsReader::new(given);
        let settings = Self {
            zone: reader.zone(),
            lines: reader.lines(&[]),
            outside_contexts: reader
                .texts("outside_contexts", &["from-trunk", "from-pstn", "from-external", "from-did"]),
            inside_contexts: reader.texts("inside_contexts", &["from-internal"]),
            single_optional: SingleOptional::of_word(
                reader.word("single_optional_column", &SingleOptional::WORDS),
            ),
        };
        Ok((settings, reader.finish()?))
    }
}

impl Connector for AsteriskCsv {
    fn kind(&self) -> &'static str {
        "asterisk-csv"
    }

    fn check(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        Ok(Settings::read(settings)?.1)
    }

    fn read(
        &self,
        source: &Source,
        tenant: &Tenant,
        body: &SourceBody<'_>,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        let (settings, _) = Settings::read(&source.settings)?;
        let mut rows = Rows::new(source, tenant, body.received_at_ms, sink);
        let bytes = delimited::without_mark(body.bytes);
        let mut file =
            File { settings: &settings, bytes, records: Records::new(DIALECT, bytes), previous_width: 0 };
        let mut occurrences = Occurrences::new(tenant);
        let mut fields = Fields::default();
        let (mut at, mut line) = (0, 1);
        while at < file.bytes.len() {
            let (next, columns) = file.split(at, &mut fields);
            let bytes = &file.bytes[at..next];
            if !is_blank(bytes) && !is_header(&fields) {
                let content = delimited::without_line_end(bytes);
                let row = columns
                    .and_then(|columns| Row::read(&fields, columns, &settings.zone))
                    .and_then(|row| call::record(&row, &settings, || occurrences.key(content)));
                rows.take(line, row);
            }
            line += delimited::line_feeds(bytes);
            at = next;
        }
        Ok(rows.finish())
    }
}

/// One body on its way through the splitter.
struct File<'f> {
    settings: &'f Settings,
    bytes: &'f [u8],
    records: Records<'f>,
    /// Columns of the row before: without a line feed, only a last line that has as many can be whole.
    previous_width: usize,
}

impl File<'_> {
    /// Splits the row that begins at `at`. A caller's name may hold a line feed, so quotes may span lines.
    fn split(&mut self, at: usize, fields: &mut Fields) -> (usize, Result<Columns, RowProblem>) {
        let single_optional = self.settings.single_optional;
        let fits = |fields: &Fields| Columns::of(fields, single_optional).is_some();
        let (next, ending) = self.records.split(at, fields, fits);
        let columns = Columns::of(fields, single_optional);
        // A line is read while the PBX still writes it, and half of a `sequence` would be another record's key.
        let cut_off = next == self.bytes.len()
            && ending == Ending::Input
            && (fields.len() != self.previous_width || DIALECT.may_be_cut_off(&self.bytes[at..], fields));
        let columns = match (ending, columns) {
            _ if cut_off => Err(RowProblem::new(delimited::NO_LINE_END)),
            (Ending::OpenQuote, _) => Err(RowProblem::new("a quote is left open: the row is incomplete")),
            (_, None) => Err(RowProblem::new(format!("has {} columns; rows have 16 to 21", fields.len()))),
            (_, Some(columns)) => Ok(columns),
        };
        if columns.is_ok() {
            self.previous_width = fields.len();
        }
        (next, columns)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// People put the column names on top when a spreadsheet was in between.
fn is_header(fields: &Fields) -> bool {
    fields.len() >= columns::BASE
        && fields.get(columns::START).eq_ignore_ascii_case(b"start")
        && fields.get(columns::DISPOSITION).eq_ignore_ascii_case(b"disposition")
}
