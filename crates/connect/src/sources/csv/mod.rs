//! `csv`: any delimited text, mapped onto the record by a profile in the settings, so that a new PBX needs no code.
//!
//! The profile says which column is which field; nothing is guessed from the content.

mod cell;
mod mapping;
mod profile;

use crate::delimited::{self, Ending, Fields, Records};
use crate::normalise::occurrence::Occurrences;
use crate::rows::{RowProblem, Rows};
use mapping::{Columns, record};
use profile::Profile;
use serde_json::{Map, Value};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{Connector, RecordSink, RowReport, SourceBody};
use tollbook_model::source::Source;
use tollbook_model::tenant::Tenant;

/// The connector for delimited text with a profile. The settings are described at the top of `profile`.
#[derive(Debug)]
pub struct ProfiledCsv;

impl Connector for ProfiledCsv {
    fn kind(&self) -> &'static str {
        "csv"
    }

    fn check(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        Ok(Profile::read(settings)?.1)
    }

    fn read(
        &self,
        source: &Source,
        tenant: &Tenant,
        body: &SourceBody<'_>,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        let (profile, _) = Profile::read(&source.settings)?;
        let bytes = delimited::without_mark(body.bytes);
        let mut rows = Rows::new(source, tenant, body.received_at_ms, sink);
        let mut records = Records::new(profile.dialect, bytes);
        let mut fields = Fields::default();
        let (mut at, mut line) = (0, 1);
        let mut columns: Option<Columns> = None;
        let mut skip = profile.skip_rows;
        let mut occurrences = Occurrences::new(tenant);
        if !profile.header {
            columns = Some(Columns::named(&profile, profile.columns.clone())?);
        }
        while at < bytes.len() {
            let (next, ending) = records
                .split(at, &mut fields, |fields| columns.as_ref().is_none_or(|columns| columns.fits(fields)));
            let row_bytes = &bytes[at..next];
            let row_line = line;
            line += delimited::line_feeds(row_bytes);
            at = next;
            if row_bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let Some(known) = &columns else {
                columns = Some(Columns::named(&profile, texts(&fields))?);
                continue;
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // Files put together from several hold the header again.
            if profile.header && known.is_header(&fields) {
                continue;
            }
            let content = delimited::without_line_end(row_bytes);
            let row = match ending {
                Ending::OpenQuote => Err(RowProblem::new("a quote is left open: the row is incomplete")),
                Ending::Input if profile.dialect.may_be_cut_off(row_bytes, &fields) => {
                    Err(RowProblem::new(delimited::NO_LINE_END))
                }
                _ => record(&profile, known, &fields, || occurrences.key(content)),
            };
            rows.take(row_line, row);
        }
        Ok(rows.finish())
    }
}

fn texts(fields: &Fields) -> Vec<String> {
    (0..fields.len()).map(|at| String::from_utf8_lossy(fields.get(at)).trim().to_owned()).collect()
}
