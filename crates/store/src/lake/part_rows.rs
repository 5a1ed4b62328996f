//! Reads the records of a part in file order, in the stored schema, a batch at a time.
//!
//! Exports do not read like this: they choose rows and keep dictionaries (`select`).

use crate::blob::Blobs;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use arrow_select::take::take;
use std::sync::Arc;
use tollbook_columns::layout::stored_schema;
use tollbook_columns::parquet_file::{PartFile, PartRows, PartSource, RowChoice};
use tollbook_kit::fault::{Fault, ResultExt};

/// Batches of a part in file order.
pub(crate) struct PartBatches {
    file: PartFile,
    row_groups: std::vec::IntoIter<usize>,
    columns: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    current: Option<PartRows>,
}

impl PartBatches {
    /// Opens the part at `path` to read `columns` of the stored schema, at most `batch_rows` rows at a time.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub(crate) fn open(
        blobs: &dyn Blobs,
        path: &str,
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<Self, Fault> {
        let file =
            PartFile::open(PartSource::new(blobs.open(path)?)).map_err(|fault| fault.with_context(path))?;
        let schema: Schema = stored_schema().project(columns).fault("choosing columns of a part")?;
        let row_groups: Vec<usize> = (0..file.metadata().num_row_groups()).collect();
        Ok(Self {
            row_groups: row_groups.into_iter(),
            file,
            columns: columns.to_vec(),
            schema: Arc::new(schema),
            batch_rows,
            current: None,
        })
    }

    /// Only these row groups, in this order.
    pub(crate) fn of_row_groups(mut self, row_groups: Vec<usize>) -> Self {
        self.row_groups = row_groups.into_iter();
        self
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Fault> {
        loop {
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                return self.as_stored(&batch?).fault("undoing the dictionaries of a part").map(Some);
            }
            let Some(row_group) = self.row_groups.next() else { return Ok(None) };
            self.current = Some(self.file.read(row_group, &self.columns, self.batch_rows, RowChoice::All)?);
        }
    }

    fn as_stored(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().map(without_dictionary).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

fn without_dictionary(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !matches!(column.data_type(), DataType::Dictionary(_, _)) {
        return Ok(Arc::clone(column));
    }
    let dictionary = column.as_dictionary::<Int32Type>();
    take(dictionary.values(), dictionary.keys(), None)
}

impl Iterator for PartBatches {
    type Item = Result<RecordBatch, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
