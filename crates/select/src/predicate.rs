//! Which records pass: the range of time and the filters, evaluated on columns.
//!
//! A value of a dictionary is compared once, whatever the number of rows that have it.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::borrow::Cow;
use std::collections::HashSet;
use tollbook_columns::parquet_file::PartFile;
use tollbook_model::call::{CallField, TrunkIds, given_trunk_id};
use tollbook_model::privacy::normal_form;
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;

/// A compiled condition on records.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    range: TimeRange,
    filters: Vec<Compiled>,
    trunk_ids: Option<TrunkIds>,
}

#[derive(Debug, Clone)]
struct Compiled {
    test: Test,
    values: HashSet<String>,
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Exact(CallField),
    Number(CallField),
    DidNumber,
    /// The first field, or the second where the first has no value.
    NumberOr(CallField, CallField),
    TrunkId,
    /// A field that call records do not have.
    Absent,
}

impl Predicate {
    /// Compiles range and filters. Ids of trunks that have only a name differ per tenant: see
    /// [`Predicate::with_trunks_of`].
    pub(crate) fn new(range: TimeRange, filters: &[Filter]) -> Self {
        let filters = filters
            .iter()
            .map(|filter| Compiled {
                test: test(filter.field),
                values: filter.values.iter().cloned().collect(),
            })
            .collect();
        Self { range, filters, trunk_ids: None }
    }

    /// The same condition, on records of this tenant.
    pub(crate) fn with_trunks_of(self, tenant: &TenantName) -> Self {
        Self { trunk_ids: Some(TrunkIds::of(tenant)), ..self }
    }

    /// Are there filters besides the range?
    pub(crate) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// The stored columns that [`Predicate::evaluate`] wants, in its order.
    pub(crate) fn columns(&self, with_range: bool) -> Vec<usize> {
        let mut columns = Vec::new();
        if with_range {
            columns.push(CallField::StartAt as usize);
        }
        for filter in &self.filters {
            for field in fields(filter.test) {
                if !columns.contains(&(field as usize)) {
                    columns.push(field as usize);
                }
            }
        }
        columns
    }

    /// One bit per row: does it pass? `columns` are the stored columns that `batch` holds, in order.
    pub(crate) fn evaluate(&self, batch: &RecordBatch, columns: &[usize], with_range: bool) -> BooleanBuffer {
        let column = |field: CallField| -> &ArrayRef {
            let at = columns.iter().position(|&column| column == field as usize);
            batch.column(at.expect("the batch holds the predicate's columns"))
        };
        let mut mask = if with_range {
            let starts = column(CallField::StartAt).as_primitive::<TimestampMicrosecondType>().values();
            let (from, to) =
                (self.range.from_ms().saturating_mul(1000), self.range.to_ms().saturating_mul(1000));
            BooleanBuffer::collect_bool(starts.len(), |row| from <= starts[row] && starts[row] < to)
        } else {
            BooleanBuffer::new_set(batch.num_rows())
        };
        for filter in &self.filters {
            if mask.count_set_bits() == 0 {
                break;
            }
            let passed = match filter.test {
                Test::Exact(field) => text_mask(column(field), |text| filter.values.contains(text)),
                Test::Number(field) => text_mask(column(field), |text| filter.accepts_number(text)),
                Test::DidNumber => filter.did_mask(
                    column(CallField::Did),
                    column(CallField::CalledParty),
                    column(CallField::Direction),
                ),
                Test::NumberOr(first, second) => filter.either_mask(column(first), column(second)),
                Test::TrunkId => {
                    filter.trunk_mask(self.trunk_ids, column(CallField::Extra), column(CallField::Trunk))
                }
                Test::Absent => BooleanBuffer::new_unset(batch.num_rows()),
            };
            mask = &mask & &passed;
        }
        mask
    }

    /// Can the statistics of a row group rule out every record?
    pub(crate) fn rules_out(&self, part: &PartFile, row_group: usize) -> bool {
        let group = part.metadata().row_group(row_group);
        self.filters.iter().any(|filter| match filter.test {
            Test::Exact(field) => match part.file_column(field as usize) {
                Some(column) => out_of_bounds(group, column, &filter.values),
                None => true,
            },
            // Spellings of a number differ; their order says nothing.
            Test::Number(_) | Test::DidNumber | Test::NumberOr(..) | Test::TrunkId => false,
            Test::Absent => true,
        })
    }
}

impl Compiled {
    fn accepts_number(&self, text: &str) -> bool {
        match normal_form(text) {
            Cow::Borrowed(same) => self.values.contains(same),
            Cow::Owned(normal) => self.values.contains(&normal),
        }
    }

    /// `did`, or `called_party` of an inbound record without one.
    fn did_mask(&self, did: &ArrayRef, called: &ArrayRef, direction: &ArrayRef) -> BooleanBuffer {
        let by_did = text_mask(did, |text| self.accepts_number(text));
        let by_called = text_mask(called, |text| self.accepts_number(text));
        let inbound = text_mask(direction, |text| text == "inbound");
        &by_did | &(&(&by_called & &inbound) & &without_value(did))
    }

    fn either_mask(&self, first: &ArrayRef, second: &ArrayRef) -> BooleanBuffer {
        let by_first = text_mask(first, |text| self.accepts_number(text));
        let by_second = text_mask(second, |text| self.accepts_number(text));
        &by_first | &(&by_second & &without_value(first))
    }

    /// The id that the source gave, or the one made of the trunk's name.
    fn trunk_mask(&self, ids: Option<TrunkIds>, extra: &ArrayRef, trunk: &ArrayRef) -> BooleanBuffer {
        let by_given =
            text_mask(extra, |text| given_trunk_id(text).is_some_and(|id| self.values.contains(&id)));
        let by_name =
            text_mask(trunk, |name| ids.is_some_and(|ids| self.values.contains(&ids.id(name).to_string())));
        // Where no name fits it does not matter which records have an id of their own, and that is dear to read.
        if by_name.count_set_bits() == 0 {
            return by_given;
        }
        let without_given = !&text_mask(extra, |text| given_trunk_id(text).is_some());
        &by_given | &(&by_name & &without_given)
    }
}

/// One bit per row: is there none?
fn without_value(array: &ArrayRef) -> BooleanBuffer {
    match array.logical_nulls() {
        Some(nulls) => !nulls.inner(),
        None => BooleanBuffer::new_unset(array.len()),
    }
}

fn test(field: FilterField) -> Test {
    match field {
        FilterField::PbxAlias => Test::Exact(CallField::PbxAlias),
        FilterField::Direction => Test::Exact(CallField::Direction),
        FilterField::Extension => Test::Exact(CallField::Extension),
        FilterField::Trunk => Test::Exact(CallField::Trunk),
        FilterField::Result => Test::Exact(CallField::Result),
        FilterField::CallingParty => Test::Number(CallField::CallingParty),
        FilterField::CalledParty => Test::Number(CallField::CalledParty),
        FilterField::DidNumber => Test::DidNumber,
        FilterField::TrunkId => Test::TrunkId,
        FilterField::NumberSent => Test::NumberOr(CallField::SourceNumberOut, CallField::CallingParty),
        FilterField::NumberPresented => Test::NumberOr(CallField::Cli, CallField::CallingParty),
        FilterField::Country => Test::Exact(CallField::Country),
        FilterField::Action | FilterField::Actor => Test::Absent,
    }
}

fn fields(test: Test) -> Vec<CallField> {
    match test {
        Test::Exact(field) | Test::Number(field) => vec![field],
        Test::DidNumber => vec![CallField::Did, CallField::CalledParty, CallField::Direction],
        Test::NumberOr(first, second) => vec![first, second],
        Test::TrunkId => vec![CallField::Extra, CallField::Trunk],
        Test::Absent => Vec::new(),
    }
}

/// One bit per row of a text column, plain or dictionary: has it a value for which `accept` holds?
pub(crate) fn text_mask(array: &ArrayRef, accept: impl Fn(&str) -> bool) -> BooleanBuffer {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let values = dictionary.values().as_string::<i32>();
            let accepted: Vec<bool> =
                (0..values.len()).map(|at| values.is_valid(at) && accept(values.value(at))).collect();
            let keys = dictionary.keys();
            BooleanBuffer::collect_bool(keys.len(), |row| {
                keys.is_valid(row) && accepted[usize::try_from(keys.value(row)).unwrap_or(usize::MAX)]
            })
        }
        _ => {
            let text = array.as_string::<i32>();
            BooleanBuffer::collect_bool(text.len(), |row| text.is_valid(row) && accept(text.value(row)))
        }
    }
}

fn out_of_bounds(group: &RowGroupMetaData, column: usize, wanted: &HashSet<String>) -> bool {
    let Some(Statistics::ByteArray(statistics)) = group.column(column).statistics() else { return false };
    let (Some(low), Some(high)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
        // Without bounds: a column of nulls only holds nothing that could be wanted.
        return statistics.null_count_opt() == Some(group.num_rows() as u64);
    };
    wanted.iter().all(|value| value.as_bytes() < low || value.as_bytes() > high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_columns::rows::batch_from_rows;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::schema::Schema;
    use tollbook_model::value::Value;

    /// Does a record with these values pass a filter for that one?
    fn passes(field: FilterField, wanted: &str, values: &[(CallField, &'static str)]) -> bool {
        let mut row = vec![Value::Null; CallField::COUNT];
        for (field, value) in [
            (CallField::Id, Value::Uuid([1; 16])),
            (CallField::PbxAlias, Value::Text("paris".into())),
            (CallField::StartAt, Value::Instant(0)),
            (CallField::DurationS, Value::Integer(0)),
            (CallField::Direction, Value::Text("inbound".into())),
        ] {
            row[field as usize] = value;
        }
        for (field, text) in values {
            row[*field as usize] = Value::Text((*text).into());
        }
        let filter = Filter { field, values: vec![wanted.to_owned()] };
        let predicate =
            Predicate::new(TimeRange::all(), &[filter]).with_trunks_of(&TenantName::default_tenant());
        let columns = predicate.columns(false);
        let batch = batch_from_rows(&Schema::of(Dataset::Cdr), &[row]).unwrap();
        predicate.evaluate(&batch.project(&columns).unwrap(), &columns, false).value(0)
    }

    #[test]
    fn a_second_field_counts_only_where_the_first_has_no_value() {
        use CallField::{CallingParty, Cli, SourceNumberOut};
        for (field, first) in
            [(FilterField::NumberSent, SourceNumberOut), (FilterField::NumberPresented, Cli)]
        {
            assert!(passes(field, "441", &[(first, "+44 1"), (CallingParty, "442")]));
            assert!(!passes(field, "442", &[(first, "+44 1"), (CallingParty, "442")]));
            assert!(passes(field, "442", &[(CallingParty, "0044 2")]));
            assert!(!passes(field, "442", &[]));
        }
    }

    #[test]
    fn trunks_have_the_id_they_were_given_or_that_of_their_name() {
        let made = TrunkIds::of(&TenantName::default_tenant()).id("carrier").to_string();
        let given = "5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11";
        let named = (CallField::Trunk, "carrier");
        let with_id = (CallField::Extra, r#"{"trunk_id":"5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11"}"#);
        assert!(passes(FilterField::TrunkId, &made, &[named]));
        assert!(!passes(FilterField::TrunkId, given, &[named]));
        assert!(passes(FilterField::TrunkId, given, &[named, with_id]));
        assert!(
            !passes(FilterField::TrunkId, &made, &[named, with_id]),
            "the given id takes the other's place"
        );
        assert!(passes(FilterField::TrunkId, &made, &[named, (CallField::Extra, "{}")]));
    }
}
