//! The trunks that records name: the distinct pairs of two columns, over all records of a tenant.
//!
//! Which callers may see them is not decided here.

use crate::BATCH_ROWS;
use crate::output::{Job, Pieces};
use crate::pipeline::{Emitter, Outlet};
use crate::rows::HandOver;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use jiff::tz::TimeZone;
use std::collections::{BTreeSet, HashSet};
use tollbook_columns::parquet_file::RowChoice;
use tollbook_kit::fault::Fault;
use tollbook_model::call::{CallField, LISTED_TRUNKS, Trunk, TrunkIds, given_trunk_id};
use tollbook_model::dataset::Dataset;
use tollbook_model::selection::{Interval, Selection};
use tollbook_model::time_range::TimeRange;

/// All that tells of trunks.
const COLUMNS: [usize; 2] = [CallField::Trunk as usize, CallField::Extra as usize];

/// Row groups are handed over undecoded, so that several threads read them.
pub(crate) const PIECES: Pieces = Pieces { rows_at_once: 1, takes_over: HandOver::Whole };

/// What is read to find trunks: two columns of every call.
pub(crate) fn selection() -> Selection {
    Selection {
        dataset: Dataset::Cdr,
        range: TimeRange::all(),
        filters: Vec::new(),
        columns: COLUMNS.to_vec(),
        timezone: TimeZone::UTC,
        interval: Interval::default(),
    }
}

/// The first trunks by name and id. Never more than are listed, so that records with a new trunk each do no harm.
#[derive(Debug, Default)]
pub(crate) struct Trunks(BTreeSet<Trunk>);

impl Trunks {
    /// What each worker does: the trunks of a piece of work.
    ///
    /// # Errors
    /// `internal` when something stored cannot be read.
    pub(crate) fn of(job: Job, ids: TrunkIds) -> Result<Self, Fault> {
        let mut trunks = Self::default();
        match job {
            Job::Whole(part, row_group) => {
                for batch in part.read(row_group, &COLUMNS, BATCH_ROWS, RowChoice::All)? {
                    trunks.add_all(&batch?, ids);
                }
            }
            Job::Records { batches, .. } => batches.iter().for_each(|batch| trunks.add_all(batch, ids)),
            Job::Few { .. } | Job::StretchEnd => {
                return Err(Fault::internal("a piece of work that was not asked for"));
            }
        }
        Ok(trunks)
    }

    fn add_all(&mut self, batch: &RecordBatch, ids: TrunkIds) {
        let (names, extras) = (Texts::of(batch.column(0)), batch.column(1).as_string::<i32>());
        // An id is made, and a text copied, once for many records.
        let mut known: HashSet<(Option<usize>, Option<String>)> = HashSet::new();
        for row in 0..batch.num_rows() {
            let given = extras.is_valid(row).then(|| given_trunk_id(extras.value(row))).flatten();
            let name = names.place(row);
            let pair = (name, given);
            if known.contains(&pair) {
                continue;
            }
            if let Some(trunk) = ids.trunk(name.map(|place| names.text(place)), pair.1.clone()) {
                self.add(trunk);
            }
            known.insert(pair);
        }
    }

    fn add(&mut self, trunk: Trunk) {
        let is_behind = self.0.len() >= LISTED_TRUNKS && self.0.last().is_some_and(|last| trunk >= *last);
        if !is_behind && self.0.insert(trunk) && self.0.len() > LISTED_TRUNKS {
            self.0.pop_last();
        }
    }
}

/// A column of text, with or without a dictionary. A text is known by its place among those that are stored.
struct Texts<'a> {
    array: &'a ArrayRef,
    stored: &'a ArrayRef,
}

impl<'a> Texts<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        let stored = match array.data_type() {
            DataType::Dictionary(..) => array.as_dictionary::<Int32Type>().values(),
            _ => array,
        };
        Self { array, stored }
    }

    /// Where the text of a row is; none when it has none.
    fn place(&self, row: usize) -> Option<usize> {
        let place = match self.array.data_type() {
            DataType::Dictionary(..) => self.array.as_dictionary::<Int32Type>().key(row)?,
            _ => row,
        };
        self.stored.is_valid(place).then_some(place)
    }

    fn text(&self, place: usize) -> &'a str {
        self.stored.as_string::<i32>().value(place)
    }
}

impl Emitter for Trunks {
    type Result = Self;
    type Item = Vec<Trunk>;

    fn open(&mut self, _: &Outlet<Vec<Trunk>>) -> Result<(), Fault> {
        Ok(())
    }

    fn emit(&mut self, found: Self, _: &Outlet<Vec<Trunk>>) -> Result<(), Fault> {
        found.0.into_iter().for_each(|trunk| self.add(trunk));
        Ok(())
    }

    fn close(self, outlet: &Outlet<Vec<Trunk>>) -> Result<(), Fault> {
        outlet.hand_on(self.0.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completeness_tests::World;
    use futures::TryStreamExt;
    use tollbook_model::ports::{DataPlane, ExportRows};
    use tollbook_model::selection::{Filter, FilterField};
    use tollbook_model::tenant::TenantName;

    fn trunk(number: usize) -> Trunk {
        Trunk { name: format!("{number:06}"), id: number.to_string() }
    }

    #[test]
    fn of_too_many_the_first_are_kept() {
        let mut trunks = Trunks::default();
        // In an order in which first ones come late.
        for step in 0..3 * LISTED_TRUNKS {
            trunks.add(trunk(step * 7919 % (3 * LISTED_TRUNKS)));
            trunks.add(trunk(5));
        }
        let kept: Vec<_> = trunks.0.into_iter().collect();
        assert_eq!(kept, (0..LISTED_TRUNKS).map(trunk).collect::<Vec<_>>());
    }

    /// How many records an export has with a filter by ids.
    async fn records_of(world: &World, ids: Vec<String>) -> usize {
        let filter = Filter { field: FilterField::TrunkId, values: ids };
        let request = World::request(TimeRange::all(), vec![filter]);
        let stream = world.engine.export(request, ExportRows::Stored).await.unwrap();
        let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
        chunks.concat().iter().filter(|byte| **byte == b'\n').count()
    }

    #[tokio::test]
    async fn trunks_are_those_of_all_records_wherever_they_lie() {
        let mut world = World::new();
        let tenant = TenantName::default_tenant();
        assert_eq!(world.engine.trunks(&tenant).await.unwrap(), [], "no records, no trunks");
        // Two names, each with the five ids that every third record brings, and with the one made of the name.
        let expected: Vec<(String, String)> = ["trunk-a", "trunk-b"]
            .into_iter()
            .flat_map(|name| {
                let made = TrunkIds::of(&tenant).id(name).to_string();
                let mut ids: Vec<String> = (0..5).map(|given| format!("id-{given}")).chain([made]).collect();
                ids.sort();
                ids.into_iter().map(|id| (name.to_owned(), id))
            })
            .collect();
        for (keys, records) in [(0..600, 600), (300..1200, 1200)] {
            world.submit(keys.map(|key| (key, 1))).await;
            for compacted in [false, true] {
                let found = world.engine.trunks(&tenant).await.unwrap();
                let found: Vec<_> = found.into_iter().map(|trunk| (trunk.name, trunk.id)).collect();
                assert_eq!(found, expected, "compacted: {compacted}");
                let mut of_trunks = 0;
                for (_, id) in &found {
                    of_trunks += records_of(&world, vec![id.clone()]).await;
                }
                // Ids that sources give belong to both names here.
                let given = records_of(&world, (0..5).map(|given| format!("id-{given}")).collect()).await;
                assert_eq!(of_trunks - given, records, "each record is of one id");
                world.compaction.compact_now().await.unwrap();
            }
        }
        let other = TenantName::parse("other").unwrap();
        assert_eq!(world.engine.trunks(&other).await.unwrap(), [], "another tenant has none of them");
    }
}
