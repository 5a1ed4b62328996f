//! Exports: direct ones, streamed while they are made, and estimates.
//!
//! Background jobs are not here yet. Reading and writing records is the data plane's work.

mod given;
mod numbers;
mod places;

use crate::tenants::TenantDirectory;
use futures::StreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use places::Places;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::IdSource;
use tollbook_model::access::{Action, Caller};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportRequest};
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::{DataPlane, ExportRows, ExportStream, Sources};
use tollbook_model::schema::Schema;
use tollbook_model::selection::Selection;
use uuid::Uuid;

/// What a caller asks for: checked words, with filter values as he wrote them.
#[derive(Debug, Clone)]
pub struct ExportQuery {
    /// Which records and columns; numbers in filters may have any spelling.
    pub selection: Selection,
    /// In which format.
    pub format: ExportFormat,
    /// Are CSV cells guarded against being read as formulas?
    pub formula_guard: bool,
}

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
    data_plane: Arc<dyn DataPlane>,
    sources: Arc<dyn Sources>,
    tenants: Arc<TenantDirectory>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
    public_url: String,
    export_places: Arc<Places>,
    estimate_places: Arc<Places>,
}

impl Exports {
    pub(crate) fn new(
        data_plane: Arc<dyn DataPlane>,
        sources: Arc<dyn Sources>,
        tenants: Arc<TenantDirectory>,
        ids: IdSource,
        clock: Arc<dyn Clock>,
        public_url: String,
    ) -> Self {
        let (export_places, estimate_places) =
            (Arc::new(Places::for_exports()), Arc::new(Places::for_estimates()));
        Self { data_plane, sources, tenants, ids, clock, public_url, export_places, estimate_places }
    }

    /// May the caller export this dataset at all? Protocols ask before they read parameters.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn permit(&self, caller: &Caller, dataset: Dataset) -> Result<(), Fault> {
        caller.require(Action::Export(dataset))
    }

    /// What an answer to [`Exports::direct`] would be called, without any work.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn head(&self, caller: &Caller, query: &ExportQuery) -> Result<ExportHead, Fault> {
        self.permit(caller, query.selection.dataset)?;
        Ok(ExportHead { id: self.ids.next_id(), file_name: file_name(query, self.clock.now_ms()) })
    }

    /// Starts an export that is streamed to the caller.
    ///
    /// # Errors
    /// `forbidden`; `too_many` when the token has as many under way as it may; `unavailable` or `internal`.
    pub async fn direct(&self, caller: &Caller, query: ExportQuery) -> Result<DirectExport, Fault> {
        let head = self.head(caller, &query)?;
        let place = self.export_places.take(caller.token)?;
        let (request, rows) = self.request(caller, query, head.id).await?;
        let ExportStream { snapshot_at_ms, watermark, chunks } =
            self.data_plane.export(request, rows).await?;
        let chunks = chunks
            .map(move |chunk| {
                // The place is free again when the stream is dropped, however it ends.
                let _held = &place;
                chunk
            })
            .boxed();
        Ok(DirectExport { head, stream: ExportStream { snapshot_at_ms, watermark, chunks } })
    }

    /// Estimates an export from what is known of the stored files.
    ///
    /// # Errors
    /// `forbidden`; `too_many` when the token has as many under way as it may; `unavailable` or `internal`.
    pub async fn estimate(&self, caller: &Caller, query: ExportQuery) -> Result<Estimate, Fault> {
        self.permit(caller, query.selection.dataset)?;
        let _place = self.estimate_places.take(caller.token)?;
        let (request, rows) = self.request(caller, query, self.ids.next_id()).await?;
        self.data_plane.estimate(&request, rows).await
    }

    async fn request(
        &self,
        caller: &Caller,
        query: ExportQuery,
        id: Uuid,
    ) -> Result<(ExportRequest, ExportRows), Fault> {
        let tenant = self.tenants.of(caller).await?;
        let mut selection = query.selection;
        numbers::normalise(&mut selection.filters, &tenant.pseudonym_keys);
        let rows = match selection.dataset {
            Dataset::Cdr | Dataset::Kpis => ExportRows::Stored,
            Dataset::AgentConfiguration => {
                ExportRows::Given(given::source_rows(self.sources.list(&caller.tenant).await?, &selection))
            }
        };
        let request = ExportRequest {
            id,
            tenant: caller.tenant.clone(),
            schema_id: Schema::of(selection.dataset).id(&self.public_url),
            selection,
            format: query.format,
            formula_guard: query.formula_guard,
        };
        Ok((request, rows))
    }
}

/// `{dataset}_{first day}_{last day}.{format}`; the last day is that of the last moment inside. A range that is open
/// at an end has no such day: then both are the day of the export.
fn file_name(query: &ExportQuery, now_ms: i64) -> String {
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
        file_name(&ExportQuery { selection, format, formula_guard: false }, ms("2026-03-04T23:30:00Z"))
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
