//! From parsed rows to the sink: provenance, admission, and the account of refused rows. The same for every source.

use tollbook_model::call::{Admission, CallField, CallRecord, FieldProblem};
use tollbook_model::ports::{RecordSink, RowReport};
use tollbook_model::source::Source;
use tollbook_model::tenant::Tenant;

/// Why a row cannot be a record; never repeats the row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowProblem(pub(crate) String);

impl RowProblem {
    /// A problem with these words.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<FieldProblem> for RowProblem {
    fn from(problem: FieldProblem) -> Self {
        Self(problem.to_string())
    }
}

/// Takes the rows of one body.
pub(crate) struct Rows<'a> {
    source: &'a Source,
    admission: Admission<'a>,
    sink: &'a mut dyn RecordSink,
    report: RowReport,
}

impl<'a> Rows<'a> {
    /// Rows of `source` that arrived at `received_at_ms`.
    pub(crate) fn new(
        source: &'a Source,
        tenant: &'a Tenant,
        received_at_ms: i64,
        sink: &'a mut dyn RecordSink,
    ) -> Self {
        Self { source, admission: Admission::new(tenant, received_at_ms), sink, report: RowReport::default() }
    }

    /// Counts a row, and either pushes its record or keeps the reason why there is none.
    pub(crate) fn take<'r>(&mut self, line: u64, row: Result<CallRecord<'r>, RowProblem>)
    where
        'a: 'r,
    {
        self.report.rows += 1;
        match row.and_then(|record| self.admit(record)) {
            Ok(record) => self.sink.push(&record),
            Err(problem) => self.report.reject(line, problem.0),
        }
    }

    fn admit<'r>(&self, mut record: CallRecord<'r>) -> Result<CallRecord<'r>, RowProblem>
    where
        'a: 'r,
    {
        record.set_text(CallField::PbxAlias, self.source.pbx_alias.as_str())?;
        record.set_text(CallField::SourceType, self.source.kind.as_str())?;
        self.admission.admit(&mut record)?;
        Ok(record)
    }

    /// The account of all rows.
    pub(crate) fn finish(self) -> RowReport {
        self.report
    }
}
