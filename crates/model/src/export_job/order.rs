//! What a job exports, in a form that outlives the process.
//!
//! Columns, filters and words are kept by their names, so that an order stays good when positions change.

use crate::dataset::Dataset;
use crate::export::{ExportQuery, Signing};
use crate::format::ExportFormat;
use crate::schema::Schema;
use crate::selection::{Filter, FilterField, Interval, Selection};
use crate::time_range::TimeRange;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tollbook_kit::fault::{Fault, ResultExt};

/// What is exported, and how the caller put the range.
#[derive(Debug, Clone)]
pub struct JobOrder {
    /// What is exported.
    pub query: ExportQuery,
    /// `from` as the caller wrote it.
    pub from: Option<String>,
    /// `to` as the caller wrote it.
    pub to: Option<String>,
}

/// The form in which an order is kept.
#[derive(Serialize, Deserialize)]
struct Written {
    dataset: String,
    range: (i64, i64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    tz: String,
    filters: Vec<(String, Vec<String>)>,
    columns: Vec<String>,
    columns_named: bool,
    interval: String,
    format: String,
    formula_guard: bool,
    sign: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
}

impl JobOrder {
    /// The order as text. Its filters may be phone numbers: it must be sealed at rest.
    ///
    /// # Errors
    /// `internal` only.
    pub fn to_text(&self) -> Result<String, Fault> {
        let ExportQuery { selection, format, formula_guard, signing, columns_named, sheet } = &self.query;
        let Selection { dataset, range, filters, columns, timezone, interval } = selection;
        let fields = Schema::of(*dataset).fields;
        let filters = filters.iter().map(|filter| (filter.field.name().to_owned(), filter.values.clone()));
        let written = Written {
            dataset: dataset.name().to_owned(),
            range: (range.from_ms(), range.to_ms()),
            from: self.from.clone(),
            to: self.to.clone(),
            tz: timezone.iana_name().unwrap_or("UTC").to_owned(),
            filters: filters.collect(),
            columns: columns.iter().map(|&at| fields[at].name.to_owned()).collect(),
            columns_named: *columns_named,
            interval: interval.name().to_owned(),
            format: format.name().to_owned(),
            formula_guard: *formula_guard,
            sign: signing.name().to_owned(),
            sheet: sheet.clone(),
        };
        serde_json::to_string(&written).fault("writing an order")
    }

    /// The order of that text.
    ///
    /// # Errors
    /// `internal` when it is none, or names what this version does not know.
    pub fn from_text(text: &str) -> Result<Self, Fault> {
        let written: Written = serde_json::from_str(text).fault("reading an order")?;
        let (from, to) = (written.from.clone(), written.to.clone());
        let query = written.query().ok_or_else(|| Fault::internal("an order names something unknown"))?;
        Ok(Self { query, from, to })
    }
}

impl Written {
    fn query(self) -> Option<ExportQuery> {
        let dataset = Dataset::from_name(&self.dataset)?;
        let schema = Schema::of(dataset);
        let filters = self.filters.into_iter();
        let filters = filters.map(|(name, values)| {
            let field = FilterField::all().find(|field| field.name() == name)?;
            Some(Filter { field, values })
        });
        let selection = Selection {
            dataset,
            range: TimeRange::new(self.range.0, self.range.1)?,
            filters: filters.collect::<Option<_>>()?,
            columns: self.columns.iter().map(|name| schema.position(name)).collect::<Option<_>>()?,
            timezone: TimeZone::get(&self.tz).ok()?,
            interval: Interval::from_name(&self.interval)?,
        };
        Some(ExportQuery {
            selection,
            format: ExportFormat::from_name(&self.format)?,
            formula_guard: self.formula_guard,
            signing: Signing::from_name(&self.sign)?,
            columns_named: self.columns_named,
            sheet: self.sheet,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    fn order() -> JobOrder {
        let filter =
            |field, values: &[&str]| Filter { field, values: values.iter().map(|v| (*v).into()).collect() };
        let selection = Selection {
            dataset: Dataset::Cdr,
            range: TimeRange::new(5, i64::MAX).unwrap(),
            filters: vec![
                filter(FilterField::Direction, &["inbound", "internal"]),
                filter(FilterField::CalledParty, &["+44 20 7123 4567"]),
            ],
            columns: vec![9, 0, 3],
            timezone: TimeZone::get("Europe/Paris").unwrap(),
            interval: Interval::Week,
        };
        let query = ExportQuery {
            selection,
            format: ExportFormat::CsvGz,
            formula_guard: true,
            signing: Signing::Manifest,
            columns_named: true,
            sheet: Some("calls".into()),
        };
        JobOrder { query, from: Some("2026-01-01".into()), to: None }
    }

    #[test]
    fn an_order_comes_back_as_it_was() {
        let text = order().to_text().unwrap();
        let back = JobOrder::from_text(&text).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", order()));
        assert_eq!(back.to_text().unwrap(), text);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let text = order().to_text().unwrap();
        for (known, unknown) in [
            ("\"cdr\"", "\"calls\""),
            ("csv.gz", "xlsx"),
            ("\"result\"", "\"resultat\""),
            ("Europe/Paris", "Mars/Base"),
        ] {
            let changed = text.replace(known, unknown);
            assert_ne!(changed, text, "{known}");
            assert!(JobOrder::from_text(&changed).is_err(), "{unknown}");
        }
    }
}
