//! The exports that are measured.

use super::month::Month;
use super::options::{Options, Piece};
use tollbook_model::format::ExportFormat;

/// One export, as Tollbook and every peer make it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// What of the month: `month`, `day`, `number`.
    pub(crate) what: &'static str,
    /// In which format.
    pub(crate) format: ExportFormat,
    /// First moment and first moment after, in milliseconds; none for the whole month.
    pub(crate) range_ms: Option<(i64, i64)>,
    /// Only calls to this number, as it stands in the records.
    pub(crate) did: Option<String>,
}

impl Scenario {
    /// Its name in reports.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.what, self.format.name())
    }

    /// Is it the whole month, for which goals are set?
    pub(crate) fn is_whole(&self) -> bool {
        self.range_ms.is_none() && self.did.is_none()
    }
}

/// The exports that `options` ask for.
pub(crate) fn all(options: &Options, month: &Month) -> Vec<Scenario> {
    let whole = |format| Scenario { what: "month", format, range_ms: None, did: None };
    let pieces = [
        (Piece::Csv, ExportFormat::Csv),
        (Piece::Parquet, ExportFormat::Parquet),
        (Piece::Ndjson, ExportFormat::Ndjson),
        (Piece::CsvGz, ExportFormat::CsvGz),
    ];
    let mut scenarios: Vec<Scenario> = pieces
        .into_iter()
        .filter(|(piece, _)| options.wants(*piece))
        .map(|(_, format)| whole(format))
        .collect();
    if options.wants(Piece::Filtered) {
        let day = Some(month.middle_day_ms());
        for format in [ExportFormat::Csv, ExportFormat::Parquet] {
            scenarios.push(Scenario { what: "day", range_ms: day, ..whole(format) });
        }
        let did = Some(month.facts.number.clone());
        scenarios.push(Scenario { what: "number", did, ..whole(ExportFormat::Csv) });
    }
    scenarios
}
