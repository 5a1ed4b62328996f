//! Completeness reports of what could be exported: per hour how many records there are, and their digest.
//!
//! A report reads all that an export of the same range would read. So it takes a direct export's place, and is in the audit
//! log before its first hour.

use super::{Exports, range_text};
use futures::StreamExt;
use jiff::tz::TimeZone;
use tollbook_kit::fault::Fault;
use tollbook_model::access::Caller;
use tollbook_model::audit::{AuditObject, Outcome};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportQuery, Signing};
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::CompletenessStream;
use tollbook_model::schema::Schema;
use tollbook_model::selection::{Interval, Selection};
use tollbook_model::tenant::Tenant;
use tollbook_model::time_range::TimeRange;

impl Exports {
    /// Tells what there is of each hour in the range, such that whoever holds an export of it can tell whether it is whole.
    /// Dropping the hours ends the work and frees the caller's place.
    ///
    /// # Errors
    /// `forbidden`; `gone` when the tenant's time to export is over; `too_many` when the credential has as many direct
    /// exports under way as the tenant's quota allows; `storage_full` when it cannot be logged; `unavailable` or `internal`.
    pub async fn completeness(
        &self,
        caller: &Caller,
        dataset: Dataset,
        range: TimeRange,
    ) -> Result<CompletenessStream, Fault> {
        self.permit(caller, dataset).await?;
        let tenant = self.tenants.exportable(caller).await?;
        let place = self.export_places.take(caller.credential, tenant.quota.direct_exports)?;
        let object = AuditObject::new("dataset", dataset);
        let entry = caller.entry(self.clock.now_ms(), "export.completeness", Some(object), Outcome::Success);
        let entry = entry.because(&range_text(range));
        self.desk.audit_log.append(vec![entry.clone()]).await?;
        let report = match self.start_report(&tenant, dataset, range).await {
            Ok(report) => report,
            Err(fault) => {
                self.note_failure(entry).await;
                return Err(fault);
            }
        };
        let hours = report.hours.map(move |hour| {
            let _held = &place;
            hour
        });
        Ok(CompletenessStream { hours: hours.boxed(), ..report })
    }

    async fn start_report(
        &self,
        tenant: &Tenant,
        dataset: Dataset,
        range: TimeRange,
    ) -> Result<CompletenessStream, Fault> {
        let request = self.desk.request(tenant, plain_export(dataset, range), self.ids.next_id())?;
        let (rows, chain_end) = self.desk.rows_now(&request).await?;
        let report = self.desk.data_plane.completeness(request, rows).await?;
        let watermark = chain_end.unwrap_or(report.watermark);
        Ok(CompletenessStream { watermark, ..report })
    }
}

/// The export whose records are reported on: that for which nothing but the range and NDJSON is asked.
fn plain_export(dataset: Dataset, range: TimeRange) -> ExportQuery {
    let columns = Schema::of(dataset).default_columns();
    let selection = Selection {
        dataset,
        range,
        filters: Vec::new(),
        columns,
        timezone: TimeZone::UTC,
        interval: Interval::default(),
    };
    ExportQuery {
        selection,
        format: ExportFormat::Ndjson,
        formula_guard: false,
        signing: Signing::None,
        columns_named: false,
        sheet: None,
    }
}
