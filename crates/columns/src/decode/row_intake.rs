//! What happens to every row that was read, whatever its form: it is completed, admitted and pushed, or reported.

use super::missing_keys::MissingKeys;
use tollbook_model::call::{Admission, CallField, CallRecord, FieldProblem};
use tollbook_model::ports::{RecordSink, RowReport};
use tollbook_model::privacy::is_pseudonym;
use tollbook_model::tenant::Tenant;

/// The rows of one body on their way into a sink.
pub(super) struct RowIntake<'s> {
    admission: Admission<'s>,
    missing_keys: MissingKeys<'s>,
    sink: &'s mut dyn RecordSink,
    report: RowReport,
}

impl<'s> RowIntake<'s> {
    pub(super) fn new(tenant: &'s Tenant, received_at_ms: i64, sink: &'s mut dyn RecordSink) -> Self {
        Self {
            admission: Admission::new(tenant, received_at_ms),
            missing_keys: MissingKeys::new(tenant),
            sink,
            report: RowReport::default(),
        }
    }

    /// Takes a row that was read; it is reported when it cannot be admitted.
    pub(super) fn take(&mut self, line: u64, mut record: CallRecord<'_>) {
        self.report.rows += 1;
        match self.complete(&mut record) {
            Ok(()) => self.sink.push(&record),
            Err(problem) => self.report.reject(line, problem.to_string()),
        }
    }

    /// Reports a row that could not be read.
    pub(super) fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.report.rows += 1;
        self.report.reject(line, reason);
    }

    pub(super) fn into_report(self) -> RowReport {
        self.report
    }

    fn complete(&mut self, record: &mut CallRecord<'_>) -> Result<(), FieldProblem> {
        // Four digits beside a number in clear say nothing new; beside no number they would be a caller's.
        if !record.text(CallField::CallingParty).is_some_and(is_pseudonym) {
            record.clear(CallField::CallingLast4);
        }
        if record.get(CallField::SourceKey).is_null() && record.get(CallField::Id).is_null() {
            let key = self.missing_keys.next_key(record);
            record.set_text(CallField::SourceKey, key)?;
        }
        self.admission.admit(record)
    }
}
