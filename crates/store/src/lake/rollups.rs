//! Hourly counts and sums of a part, kept while it is written; KPIs are added up from them.
//!
//! Buckets longer than an hour, and time zones, are the reader's business.

use crate::record_keys::id_ms;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, StringArray};
use rustc_hash::FxHashMap;
use tollbook_kit::fault::Fault;
use tollbook_model::call::{CallField, RESULTS};
use tollbook_model::ports::Rollup;

const HOUR_MS: i64 = 3_600_000;

/// Counts being kept.
#[derive(Debug, Default)]
pub(super) struct RollupCounter {
    /// Few sources and directions share an hour, so that looking through them costs less than hashing text.
    by_hour: FxHashMap<i64, Vec<Rollup>>,
}

impl RollupCounter {
    /// Counts the records of a batch in the stored schema.
    ///
    /// # Errors
    /// `internal` when a column is not of its stored type.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        let wrong = || Fault::internal("records to be counted are not in the stored schema");
        let text = |field: CallField| batch.column(field as usize).as_string_opt::<i32>().ok_or_else(wrong);
        let aliases = text(CallField::PbxAlias)?;
        let directions = text(CallField::Direction)?;
        let results = text(CallField::Result)?;
        let ids = batch.column(CallField::Id as usize).as_fixed_size_binary_opt().ok_or_else(wrong)?;
        let seconds = batch.column(CallField::DurationS as usize);
        let seconds = seconds.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        for row in 0..batch.num_rows() {
            let id = ids.value(row).try_into().map_err(|_| wrong())?;
            let rollup =
                self.entry(id_ms(&id).div_euclid(HOUR_MS), aliases.value(row), directions.value(row));
            let duration = u64::try_from(seconds.value(row)).unwrap_or(0);
            rollup.calls += 1;
            rollup.duration_s = rollup.duration_s.saturating_add(duration);
            rollup.max_duration_s = rollup.max_duration_s.max(duration);
            if let Some(result) = result_position(results, row) {
                rollup.results[result] += 1;
            }
        }
        Ok(())
    }

    fn entry(&mut self, hour: i64, pbx_alias: &str, direction: &str) -> &mut Rollup {
        let of_hour = self.by_hour.entry(hour).or_default();
        let at = of_hour.iter().position(|one| one.pbx_alias == pbx_alias && one.direction == direction);
        let at = at.unwrap_or_else(|| {
            of_hour.push(Rollup {
                hour,
                pbx_alias: pbx_alias.to_owned(),
                direction: direction.to_owned(),
                calls: 0,
                results: [0; 4],
                duration_s: 0,
                max_duration_s: 0,
            });
            of_hour.len() - 1
        });
        &mut of_hour[at]
    }

    /// The counts, by hour.
    pub(super) fn finish(self) -> Vec<Rollup> {
        let mut rollups: Vec<Rollup> = self.by_hour.into_values().flatten().collect();
        rollups
            .sort_by(|a, b| (a.hour, &a.pbx_alias, &a.direction).cmp(&(b.hour, &b.pbx_alias, &b.direction)));
        rollups
    }
}

fn result_position(results: &StringArray, row: usize) -> Option<usize> {
    if results.is_null(row) {
        return None;
    }
    RESULTS.iter().position(|word| *word == results.value(row))
}
