//! Reads row groups of a part: chosen columns, chosen rows, text of little variety as dictionaries.

use super::{ByteSource, PartSource, broken};
use crate::layout::{self, STORED_COLUMNS};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelectionPolicy,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::call::CALL_FIELDS;

/// One row in so many is few.
const SPARSE: usize = 32;

/// Which rows of a row group are read.
#[derive(Debug, Clone)]
pub enum RowChoice {
    /// All.
    All,
    /// Those whose bit is set; one bit per row of the row group.
    Mask(BooleanBuffer),
}

/// An open part. Cheap to clone; the footer is read once.
#[derive(Clone)]
pub struct PartFile {
    source: PartSource,
    metadata: ArrowReaderMetadata,
    /// Column of the file for every stored column; none where the part is older than the column.
    columns: Arc<[Option<usize>; STORED_COLUMNS]>,
}

impl PartFile {
    /// Opens a part and reads its footer.
    ///
    /// # Errors
    /// `internal` when it is no part of ours or cannot be read.
    pub fn open(source: PartSource) -> Result<Self, Fault> {
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let plain =
            ArrowReaderMetadata::load(&source, options.clone()).map_err(broken("reading a part's footer"))?;
        let fields: Vec<Field> = plain.schema().fields().iter().map(|field| read_field(field)).collect();
        let metadata = ArrowReaderMetadata::try_new(
            Arc::clone(plain.metadata()),
            options.with_schema(Arc::new(Schema::new(fields))),
        )
        .map_err(broken("reading a part's schema"))?;
        let stored = layout::stored_schema();
        let columns = std::array::from_fn(|at| metadata.schema().index_of(stored.field(at).name()).ok());
        Ok(Self { source, metadata, columns: Arc::new(columns) })
    }

    /// The file's footer.
    pub fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Its bytes.
    pub fn source(&self) -> &PartSource {
        &self.source
    }

    /// Column of the file that holds a stored column; none where the part is older than the column.
    pub fn file_column(&self, stored: usize) -> Option<usize> {
        self.columns[stored]
    }

    /// Reads chosen rows of one row group: `columns` are stored columns, in the order wanted; batches have at most
    /// `batch_rows` rows. Columns that the part lacks come as nulls.
    ///
    /// # Errors
    /// `internal` when the file cannot be read; also from the iterator.
    pub fn read(
        &self,
        row_group: usize,
        columns: &[usize],
        batch_rows: usize,
        rows: RowChoice,
    ) -> Result<PartRows, Fault> {
        let present: Vec<usize> = columns.iter().filter_map(|&column| self.columns[column]).collect();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), present.iter().copied());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_projection(mask)
                .with_batch_size(batch_rows);
        if let RowChoice::Mask(mask) = rows {
            // Few rows are reached by skipping, many by decoding all and dropping some.
            let sparse = mask.count_set_bits() * SPARSE <= mask.len();
            let policy = if sparse { RowSelectionPolicy::Selectors } else { RowSelectionPolicy::default() };
            builder = builder
                .with_row_selection_policy(policy)
                .with_row_selection(RowSelection::from_boolean_buffer(mask));
        }
        let reader = builder.build().map_err(broken("opening a row group"))?;
        // The reader yields columns in file order; find each wanted one among them.
        let mut in_file_order = present;
        in_file_order.sort_unstable();
        let stored = layout::stored_schema();
        let wanted = columns
            .iter()
            .map(|&column| match self.columns[column] {
                Some(at) => Wanted::Read(in_file_order.partition_point(|&other| other < at)),
                None => Wanted::Null(stored.field(column).data_type().clone()),
            })
            .collect();
        let fields: Vec<Field> = columns
            .iter()
            .map(|&column| match self.columns[column] {
                Some(at) => self.metadata.schema().field(at).clone(),
                None => stored.field(column).clone().with_nullable(true),
            })
            .collect();
        Ok(PartRows { reader, wanted, schema: Arc::new(Schema::new(fields)) })
    }
}

/// The records of any Parquet file, from its footer.
///
/// # Errors
/// `internal` when it is none.
pub fn rows_in_file(file: impl ByteSource + 'static) -> Result<u64, Fault> {
    let source = PartSource::new(Arc::new(file));
    let metadata =
        ParquetMetaDataReader::new().parse_and_finish(&source).map_err(broken("reading a footer"))?;
    u64::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| Fault::internal("a footer with negative rows"))
}

enum Wanted {
    Read(usize),
    Null(DataType),
}

/// Batches of one row group.
pub struct PartRows {
    reader: ParquetRecordBatchReader,
    wanted: Vec<Wanted>,
    schema: SchemaRef,
}

impl PartRows {
    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let arrays: Vec<ArrayRef> = self
            .wanted
            .iter()
            .map(|wanted| match wanted {
                Wanted::Read(at) => Arc::clone(batch.column(*at)),
                Wanted::Null(data_type) => new_null_array(data_type, batch.num_rows()),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.reader.next()?;
        let arranged = next.and_then(|batch| self.arrange(&batch));
        Some(arranged.map_err(|error| Fault::internal("reading a row group").with_source(error)))
    }
}

/// The type in which a column of a file is read: as the catalogue says, for columns that it knows.
fn read_field(field: &Field) -> Field {
    match CALL_FIELDS.iter().find(|known| known.name == field.name()) {
        Some(known) if field.data_type() == &DataType::Utf8 => {
            field.clone().with_data_type(layout::read_type(known))
        }
        _ => field.clone(),
    }
}
