//! What identifies stored records, read from their columns: id, content digest, revision, sequence, UTC day.
//!
//! Digests are kept by the journal only; of records of the lake they are made from all columns, when they are needed.

use arrow_array::types::Int64Type;
use arrow_array::{Array, FixedSizeBinaryArray, Int64Array, PrimitiveArray, RecordBatch};
use tollbook_columns::content_digest::content_digests;
use tollbook_columns::layout;
use tollbook_kit::fault::Fault;
use tollbook_model::call::{CallField, id_time_ms};
use tollbook_model::time_range::utc_day;

/// Milliseconds of a UTC day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Positions, in the stored schema, of the columns that identify a record; what [`RecordKeys::of`] needs.
pub(crate) const KEY_COLUMNS: [usize; 4] =
    [CallField::Id as usize, CallField::Revision as usize, layout::SEQUENCE, layout::CONTENT_DIGEST];

/// An id as stored: its bytes sort by time.
pub(crate) type RecordId = [u8; 16];

/// The identifying columns of a batch. Holds them by reference count.
#[derive(Debug, Clone)]
pub(crate) struct RecordKeys {
    ids: FixedSizeBinaryArray,
    revisions: Int64Array,
    sequences: Int64Array,
    digests: Int64Array,
}

impl RecordKeys {
    /// The keys of a batch that holds at least [`KEY_COLUMNS`].
    ///
    /// # Errors
    /// `internal` when one of them is not there, or not of its type.
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, Fault> {
        let schema = layout::stored_schema();
        let column = |at: usize| {
            let name = schema.field(at).name();
            batch.column_by_name(name).ok_or_else(|| Fault::internal("records without a column of their key"))
        };
        let number = |at: usize| -> Result<Int64Array, Fault> {
            let found = column(at)?.as_any().downcast_ref::<PrimitiveArray<Int64Type>>().cloned();
            found.ok_or_else(|| Fault::internal("a column of the records' key is not a number"))
        };
        let ids = column(CallField::Id as usize)?.as_any().downcast_ref::<FixedSizeBinaryArray>().cloned();
        let ids = ids.filter(|ids| ids.value_length() == 16 && ids.null_count() == 0);
        Ok(Self {
            ids: ids.ok_or_else(|| Fault::internal("records whose ids are not 16 bytes each"))?,
            revisions: number(CallField::Revision as usize)?,
            sequences: number(layout::SEQUENCE)?,
            digests: number(layout::CONTENT_DIGEST)?,
        })
    }

    /// Records.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Id of a record.
    pub(crate) fn id(&self, row: usize) -> RecordId {
        let mut id = [0; 16];
        id.copy_from_slice(self.ids.value(row));
        id
    }

    /// Content digest, where it is kept; as a number it has no meaning.
    pub(crate) fn digest(&self, row: usize) -> Option<u64> {
        self.digests.is_valid(row).then(|| self.digests.value(row).cast_unsigned())
    }

    /// Content digest of a record of `batch`, whose keys these are. Where it is not kept, those of the whole batch are
    /// made from its columns, once.
    ///
    /// # Errors
    /// `internal` when the batch lacks columns of the catalogue.
    pub(crate) fn digest_of(&mut self, batch: &RecordBatch, row: usize) -> Result<u64, Fault> {
        if self.digests.is_null(row) {
            self.make_digests(batch)?;
        }
        Ok(self.digests.value(row).cast_unsigned())
    }

    /// Makes the digests of `batch`, whose keys these are, unless all are kept.
    ///
    /// # Errors
    /// `internal` when the batch lacks columns of the catalogue.
    pub(crate) fn make_digests(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if self.digests.null_count() > 0 {
            let made = content_digests(batch)?;
            self.digests = Int64Array::from_iter_values(made.into_iter().map(u64::cast_signed));
        }
        Ok(())
    }

    /// 0, or how often the record had been revised.
    pub(crate) fn revision(&self, row: usize) -> i64 {
        if self.revisions.is_null(row) { 0 } else { self.revisions.value(row) }
    }

    /// Sequence number; 0 where none is filled in.
    pub(crate) fn sequence(&self, row: usize) -> u64 {
        if self.sequences.is_null(row) { 0 } else { self.sequences.value(row).cast_unsigned() }
    }
}

/// Time that an id carries, in milliseconds. Admission lets no id through that carries none.
pub(crate) fn id_ms(id: &RecordId) -> i64 {
    id_time_ms(id).unwrap_or(0)
}

/// UTC day of an id, in days since 1970-01-01. 48 bits of milliseconds are at most some 3.3 million days.
pub(crate) fn id_day(id: &RecordId) -> i32 {
    utc_day(id_ms(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_ids_time() {
        let mut id = [0x7F; 16];
        id[..6].copy_from_slice(&(20_000 * DAY_MS - 1).to_be_bytes()[2..]);
        assert_eq!(id_day(&id), 19_999);
        id[..6].copy_from_slice(&(20_000 * DAY_MS).to_be_bytes()[2..]);
        assert_eq!(id_day(&id), 20_000);
    }
}
