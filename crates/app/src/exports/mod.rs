//! Exports: direct ones, streamed while they are made, their signed manifests, and estimates.
//!
//! Background jobs are in [`jobs`](crate::jobs). Reading and writing records is the data plane's work.
//!
//! A direct export is in the audit log before its first byte. The entry comes first and the snapshot after it, so an
//! export of the audit log holds its own entry.

mod audit_rows;
mod completeness;
pub(crate) mod desk;
mod given;
pub(crate) mod manifests;
mod numbers;
mod places;
mod trunks;

use crate::rights::Rights;
use crate::tenants::TenantDirectory;
use desk::ExportDesk;
use futures::StreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use manifests::Outline;
use places::Places;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::IdSource;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::dataset::Dataset;
pub use tollbook_model::export::ExportQuery;
use tollbook_model::export::{Estimate, Signing};
use tollbook_model::ports::ExportStream;
use tollbook_model::selection::Selection;
use tollbook_model::tenant::Tenant;
use tollbook_model::time_range::{TimeRange, instant_text};
use uuid::Uuid;

/// Estimates at once per credential.
const ESTIMATES: u32 = 2;

/// What is known of an export before its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHead {
    /// Its id.
    pub id: Uuid,
    /// Name of its file: `{dataset}_{first day}_{last day}.{format}`, days in the export's zone.
    pub file_name: String,
}

/// A direct export under way. Dropping it ends the work and frees the caller's place.
pub struct DirectExport {
    /// Id and file name.
    pub head: ExportHead,
    /// The file.
    pub stream: ExportStream,
}

/// Makes exports.
pub struct Exports {
    rights: Arc<Rights>,
    tenants: Arc<TenantDirectory>,
    desk: Arc<ExportDesk>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
    export_places: Arc<Places>,
    estimate_places: Arc<Places>,
}

impl Exports {
    pub(crate) fn new(
        rights: Arc<Rights>,
        tenants: Arc<TenantDirectory>,
        desk: Arc<ExportDesk>,
        ids: IdSource,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (export_places, estimate_places) =
            (Arc::new(Places::for_exports()), Arc::new(Places::for_estimates()));
        Self { rights, tenants, desk, ids, clock, export_places, estimate_places }
    }

    /// May the caller export this dataset at all? Protocols ask before they read parameters.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller, dataset: Dataset) -> Result<(), Fault> {
        self.rights.require(caller, Action::Export(dataset)).await
    }

    /// What an answer to [`Exports::direct`] would be called, without any work.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn head(&self, caller: &Caller, query: &ExportQuery) -> Result<ExportHead, Fault> {
        self.permit(caller, query.selection.dataset).await?;
        Ok(ExportHead { id: self.ids.next_id(), file_name: file_name(query, self.clock.now_ms()) })
    }

    /// Starts an export that is streamed to the caller.
    ///
    /// # Errors
    /// `forbidden`; `gone` when the tenant's time to export is over; `too_many` when the credential has as many under
    /// way as the tenant's quota allows; `storage_full` when it cannot be logged; `unavailable` or `internal`.
    pub async fn direct(&self, caller: &Caller, query: ExportQuery) -> Result<DirectExport, Fault> {
        let head = self.head(caller, &query).await?;
        let tenant = self.tenants.exportable(caller).await?;
        let place = self.export_places.take(caller.credential, tenant.quota.direct_exports)?;
        let entry = self.entry(caller, head.id, &query);
        self.desk.audit_log.append(vec![entry.clone()]).await?;
        let stream = match self.start(&tenant, query, &head).await {
            Ok(stream) => stream,
            Err(fault) => {
                self.note_failure(entry).await;
                return Err(fault);
            }
        };
        let chunks = stream.chunks.map(move |chunk| {
            // The place is free again when the stream is dropped, however it ends.
            let _held = &place;
            chunk
        });
        Ok(DirectExport { head, stream: ExportStream { chunks: chunks.boxed(), ..stream } })
    }

    /// The signed manifest of an export that was streamed whole to somebody of the caller's tenant within the last 24
    /// hours, a compact JWS. Whoever may export the dataset may have it; to others it is as if it were not there.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing; `not_found`; `unavailable` or `internal`.
    pub async fn manifest(&self, caller: &Caller, export_id: Uuid) -> Result<String, Fault> {
        self.permit_any(caller).await?;
        let unknown = || {
            let words = "there is no manifest of this export; it is there once a signed export was streamed to its end, \
                         and for 24 hours";
            Fault::new(Code::NotFound, words)
        };
        let found = self.desk.manifests.find(&caller.tenant, export_id).await?.ok_or_else(unknown)?;
        match self.permit(caller, found.dataset).await {
            Ok(()) => Ok(found.jws),
            // It would tell that the export exists.
            Err(fault) if fault.code() == Code::Forbidden => Err(unknown()),
            Err(fault) => Err(fault),
        }
    }

    /// May the caller have manifests at all? Protocols ask before they read parameters.
    ///
    /// # Errors
    /// `forbidden`, when he may export no dataset.
    pub async fn permit_any(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require_any_export(caller).await
    }

    /// Estimates an export from what is known of the stored files.
    ///
    /// # Errors
    /// `forbidden`; `gone` when the tenant's time to export is over; `too_many` when the credential has as many under
    /// way as it may; `unavailable` or `internal`.
    pub async fn estimate(&self, caller: &Caller, query: ExportQuery) -> Result<Estimate, Fault> {
        self.permit(caller, query.selection.dataset).await?;
        let tenant = self.tenants.exportable(caller).await?;
        let _place = self.estimate_places.take(caller.credential, ESTIMATES)?;
        self.desk.estimate(&tenant, query, self.ids.next_id()).await
    }

    async fn start(
        &self,
        tenant: &Tenant,
        query: ExportQuery,
        head: &ExportHead,
    ) -> Result<ExportStream, Fault> {
        let signing = query.signing;
        let outline = (signing != Signing::None)
            .then(|| Outline::of(tenant, head.id, self.desk.schema_id(query.selection.dataset), &query));
        let request = self.desk.request(tenant, query, head.id)?;
        let (rows, chain_end) = self.desk.rows_now(&request).await?;
        let stream = self.desk.data_plane.export(request, rows).await?;
        let watermark = chain_end.unwrap_or(stream.watermark);
        let stream = ExportStream { watermark, ..stream };
        Ok(match outline {
            None => stream,
            Some(outline) => self.desk.manifests.clone().signed(outline, head.file_name.clone(), stream),
        })
    }

    fn entry(&self, caller: &Caller, id: Uuid, query: &ExportQuery) -> AuditEntry {
        let object = AuditObject::new("export", id);
        let entry = caller.entry(self.clock.now_ms(), "export.direct", Some(object), Outcome::Success);
        entry.because(&in_words(query))
    }

    /// Logs that a started export has not come to its first byte. What the caller hears is why.
    async fn note_failure(&self, entry: AuditEntry) {
        let failed = AuditEntry { outcome: Outcome::Error, at_ms: self.clock.now_ms(), ..entry };
        if let Err(fault) = self.desk.audit_log.append(vec![failed]).await {
            tracing::error!(fault = fault.log_text(), "could not log that an export failed");
        }
    }
}

/// What the audit log says of an export: dataset, format and range. Values of filters may be numbers, so it says
/// nothing of filters.
pub(crate) fn in_words(query: &ExportQuery) -> String {
    let Selection { dataset, range, .. } = &query.selection;
    format!("{dataset} as {}, {}", query.format.name(), range_text(*range))
}

/// A range in words, with an open end named as such.
fn range_text(range: TimeRange) -> String {
    let (from_ms, to_ms) = (range.from_ms(), range.to_ms());
    let from = if from_ms == i64::MIN { "the beginning".into() } else { instant_text(from_ms) };
    let to = if to_ms == i64::MAX { "the end".into() } else { instant_text(to_ms) };
    format!("{from} to {to}")
}

/// `{dataset}_{first day}_{last day}.{format}`; the last day is that of the last moment inside. A range that is open
/// at an end has no such day: then both are the day of the export.
pub(crate) fn file_name(query: &ExportQuery, now_ms: i64) -> String {
    let Selection { dataset, range, timezone, .. } = &query.selection;
    let ends = day(range.from_ms(), timezone).zip(day(range.to_ms().saturating_sub(1), timezone));
    let (first, last) = ends.unwrap_or_else(|| {
        let today = day(now_ms, timezone).unwrap_or_default();
        (today.clone(), today)
    });
    format!("{dataset}_{first}_{last}.{}", query.format.name())
}

/// The day of a moment; none for moments outside the calendar, which stand for an open end.
fn day(ms: i64, timezone: &TimeZone) -> Option<String> {
    let timestamp = Timestamp::from_millisecond(ms).ok()?;
    Some(timestamp.to_zoned(timezone.clone()).date().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::format::ExportFormat;
    use tollbook_model::selection::Interval;
    use tollbook_model::time_range::{TimeRange, parse_instant};

    fn name(from: Option<&str>, to: Option<&str>, zone: &str, format: ExportFormat) -> String {
        let ms = |text: &str| parse_instant(text).unwrap();
        let selection = Selection {
            dataset: Dataset::Cdr,
            range: TimeRange::new(from.map_or(i64::MIN, ms), to.map_or(i64::MAX, ms)).unwrap(),
            filters: Vec::new(),
            columns: vec![0],
            timezone: TimeZone::get(zone).unwrap(),
            interval: Interval::Day,
        };
        let (signing, columns_named) = (Signing::None, false);
        let (formula_guard, sheet) = (false, None);
        let query = ExportQuery { selection, format, formula_guard, signing, columns_named, sheet };
        file_name(&query, ms("2026-03-04T23:30:00Z"))
    }

    #[test]
    fn files_are_named_after_the_days_inside_the_range() {
        let (from, to) = (Some("2026-01-04T23:00:00Z"), Some("2026-01-31T23:00:00Z"));
        assert_eq!(name(from, to, "Europe/Paris", ExportFormat::Csv), "cdr_2026-01-05_2026-01-31.csv");
        assert_eq!(name(from, to, "UTC", ExportFormat::CsvGz), "cdr_2026-01-04_2026-01-31.csv.gz");
        let midnight = Some("2026-01-31T00:00:00Z");
        assert_eq!(name(from, midnight, "UTC", ExportFormat::Json), "cdr_2026-01-04_2026-01-30.json");
        assert_eq!(name(None, None, "UTC", ExportFormat::Csv), "cdr_2026-03-04_2026-03-04.csv");
        assert_eq!(name(None, to, "Europe/Paris", ExportFormat::Csv), "cdr_2026-03-05_2026-03-05.csv");
    }
}
