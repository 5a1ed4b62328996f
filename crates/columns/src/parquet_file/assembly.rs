//! Assembles an export's Parquet file: row groups copied from parts without decoding, and row groups encoded anew,
//! in any order, under one footer.
//!
//! Ids are stored as 16 bytes and exported as text, so that column alone is encoded anew in a copied row group.

use super::{PartFile, PartSource, RowChoice, broken};
use crate::layout;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder,
    ParquetMetaDataOptions, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::{ColumnPath, SchemaDescPtr};
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::schema::{FieldKind, Schema};

const MAGIC: &[u8; 4] = b"PAR1";
/// Behind a footer: its length, and the magic bytes once more.
const FOOTER_END_BYTES: usize = 8;
const CREATED_BY: &str = concat!("tollbook ", env!("CARGO_PKG_VERSION"));

/// A stretch of the output file.
pub enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// A range of a stored file, to be read when it is written.
    Range {
        /// The file.
        source: PartSource,
        /// Where it starts there.
        offset: u64,
        /// How long it is.
        length: u64,
    },
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range { length, .. } => *length,
        }
    }
}

/// A row group ready to be written: its bytes, one piece per column, and what the footer says of them, with offsets
/// still counted from its own start.
pub struct EncodedRowGroup {
    /// One piece per column, in order.
    pub pieces: Vec<Piece>,
    /// Records inside.
    pub rows: u64,
    columns: Vec<ColumnChunkMetaData>,
}

impl EncodedRowGroup {
    /// Bytes of all pieces.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::length).sum()
    }
}

/// Shared by the workers that encode row groups; the place in the file is kept by [`ExportAssembly::place`].
pub struct ExportAssembly {
    arrow: SchemaRef,
    parquet: SchemaDescPtr,
    /// Stored columns of the output's columns; only call records can be copied.
    columns: Vec<usize>,
    properties: WriterProperties,
    key_values: Vec<KeyValue>,
    placed: Vec<RowGroupMetaData>,
    position: u64,
    rows: u64,
}

impl ExportAssembly {
    /// A file with these columns of `schema`, in this order, carrying `key_values` in its metadata.
    ///
    /// # Errors
    /// `internal` only.
    pub fn new(schema: &Schema, columns: &[usize], key_values: &[(&str, String)]) -> Result<Self, Fault> {
        let fields: Vec<Field> = columns.iter().map(|&column| export_field(&schema.fields[column])).collect();
        let arrow = Arc::new(ArrowSchema::new(fields));
        let parquet = Arc::new(
            ArrowSchemaConverter::new()
                .schema_root("record")
                .convert(&arrow)
                .map_err(broken("converting a schema"))?,
        );
        let key_values =
            key_values.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        Ok(Self {
            properties: properties(schema, columns),
            arrow,
            parquet,
            columns: columns.to_vec(),
            key_values,
            placed: Vec::new(),
            position: MAGIC.len() as u64,
            rows: 0,
        })
    }

    /// What an assembly needs to encode row groups elsewhere, while this one keeps the place in the file.
    pub fn encoder(&self) -> Self {
        Self {
            arrow: Arc::clone(&self.arrow),
            parquet: Arc::clone(&self.parquet),
            columns: self.columns.clone(),
            properties: self.properties.clone(),
            key_values: Vec::new(),
            placed: Vec::new(),
            position: 0,
            rows: 0,
        }
    }

    /// The file's first bytes.
    pub fn opening(&self) -> Bytes {
        Bytes::from_static(MAGIC)
    }

    /// Encodes records into a row group. Batches hold the output's columns in order, in any text representation.
    ///
    /// # Errors
    /// `internal` when a batch is not of the schema.
    pub fn encode(&self, batches: &[RecordBatch]) -> Result<EncodedRowGroup, Fault> {
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true)
            .with_schema_root("record".to_owned());
        // Near enough for ids, which are nearly all that is encoded beside copied columns.
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let mut bytes = Vec::with_capacity(rows * 40 * self.columns.len().min(4) + 4096);
        let mut writer = ArrowWriter::try_new_with_options(&mut bytes, Arc::clone(&self.arrow), options)
            .map_err(broken("starting a row group"))?;
        for batch in batches {
            writer.write(&self.export_batch(batch)?).map_err(broken("encoding a row group"))?;
        }
        writer.close().map_err(broken("encoding a row group"))?;
        let bytes = Bytes::from(bytes);
        // Read back, as it will be when it is kept and restored: not all that a writer knows outlives that.
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(writable()))
            .parse_and_finish(&bytes)
            .map_err(broken("reading an encoded row group back"))?;
        let Some(group) = metadata.row_groups().first() else {
            return Ok(EncodedRowGroup { pieces: Vec::new(), rows: 0, columns: Vec::new() });
        };
        assert_eq!(metadata.num_row_groups(), 1, "a row group is encoded at a time");
        let mut pieces = Vec::with_capacity(group.num_columns());
        let mut columns = Vec::with_capacity(group.num_columns());
        let mut at = 0;
        for column in group.columns() {
            let (start, length) = column.byte_range();
            let from = usize::try_from(start).unwrap_or(usize::MAX);
            let to = from + usize::try_from(length).unwrap_or(0);
            pieces.push(Piece::Bytes(bytes.slice(from..to)));
            columns.push(moved(column, at)?);
            at += length;
        }
        Ok(EncodedRowGroup { pieces, rows: group.num_rows() as u64, columns })
    }

    /// Takes over a whole row group of a part. None when the part lacks one of the columns and it must be encoded.
    ///
    /// # Errors
    /// `internal` when the part cannot be read.
    pub fn copy(&self, part: &PartFile, row_group: usize) -> Result<Option<EncodedRowGroup>, Fault> {
        let group = part.metadata().row_group(row_group);
        let mut pieces = Vec::with_capacity(self.columns.len());
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut at = 0;
        for (position, &stored) in self.columns.iter().enumerate() {
            let Some(in_file) = part.file_column(stored) else { return Ok(None) };
            let (piece, metadata) = if is_id(layout::stored_schema().field(stored)) {
                self.encode_ids(part, row_group, stored, position)?
            } else {
                let column = group.column(in_file);
                let (offset, length) = column.byte_range();
                (Piece::Range { source: part.source().clone(), offset, length }, column.clone())
            };
            columns.push(moved(&metadata, at)?);
            at += piece.length();
            pieces.push(piece);
        }
        Ok(Some(EncodedRowGroup { pieces, rows: group.num_rows() as u64, columns }))
    }

    fn encode_ids(
        &self,
        part: &PartFile,
        row_group: usize,
        stored: usize,
        position: usize,
    ) -> Result<(Piece, ColumnChunkMetaData), Fault> {
        let only = Self {
            arrow: Arc::new(ArrowSchema::new(vec![self.arrow.field(position).clone()])),
            columns: vec![stored],
            ..self.encoder()
        };
        let batches =
            part.read(row_group, &[stored], 8 * 1024, RowChoice::All)?.collect::<Result<Vec<_>, _>>()?;
        let mut encoded = only.encode(&batches)?;
        match (encoded.pieces.pop(), encoded.columns.pop()) {
            (Some(piece), Some(column)) => Ok((piece, column)),
            _ => Err(Fault::internal("a row group without rows")),
        }
    }

    /// Gives a row group its place: it must be written next, all pieces in order.
    ///
    /// # Errors
    /// `internal` only.
    pub fn place(&mut self, group: &EncodedRowGroup) -> Result<(), Fault> {
        if group.rows == 0 {
            return Ok(());
        }
        let columns = group
            .columns
            .iter()
            .map(|column| moved_by(column, self.position))
            .collect::<Result<Vec<_>, _>>()?;
        self.append(columns, group.rows, group.bytes())
    }

    /// Appends a row group whose columns say where they are in the file.
    fn append(&mut self, columns: Vec<ColumnChunkMetaData>, rows: u64, length: u64) -> Result<(), Fault> {
        let plain: i64 = columns.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        let metadata = RowGroupMetaData::builder(Arc::clone(&self.parquet))
            .set_num_rows(rows as i64)
            .set_total_byte_size(plain)
            .set_file_offset(self.position as i64)
            .set_column_metadata(columns)
            .build()
            .map_err(broken("placing a row group"))?;
        self.placed.push(metadata);
        self.position += length;
        self.rows += rows;
        Ok(())
    }

    /// How many row groups were placed so far.
    pub fn row_groups(&self) -> usize {
        self.placed.len()
    }

    /// What must be known of the row groups from number `first` on to go on behind them: a footer that tells of nothing
    /// else. None of them: an empty one.
    ///
    /// # Errors
    /// `internal` only.
    pub fn footer_from(&self, first: usize) -> Result<Bytes, Fault> {
        let some = self.placed.get(first..).unwrap_or_default().to_vec();
        if some.is_empty() {
            return Ok(Bytes::new());
        }
        let rows = some.iter().map(RowGroupMetaData::num_rows).sum();
        let file = FileMetaData::new(1, rows, None, None, Arc::clone(&self.parquet), None);
        let mut footer = written(&ParquetMetaDataBuilder::new(file).set_row_groups(some).build())?;
        footer.truncate(footer.len() - FOOTER_END_BYTES);
        Ok(Bytes::from(footer))
    }

    /// Takes over row groups that an earlier assembly of the same file placed next, as its
    /// [`ExportAssembly::footer_from`] told them.
    ///
    /// # Errors
    /// `internal` when they are not of this file, or do not follow.
    pub fn restore(&mut self, footer: &[u8]) -> Result<(), Fault> {
        if footer.is_empty() {
            return Ok(());
        }
        let metadata = ParquetMetaDataReader::decode_metadata_with_options(footer, Some(&writable()))
            .map_err(broken("reading kept row groups"))?;
        if metadata.file_metadata().schema() != self.parquet.root_schema() {
            return Err(Fault::internal("kept row groups have other columns"));
        }
        for group in metadata.row_groups() {
            if group.file_offset() != Some(self.position as i64) {
                return Err(Fault::internal("kept row groups do not follow each other"));
            }
            let length = group.columns().iter().map(|column| column.byte_range().1).sum();
            self.append(group.columns().to_vec(), group.num_rows() as u64, length)?;
        }
        Ok(())
    }

    /// Rows placed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The file's last bytes.
    ///
    /// # Errors
    /// `internal` only.
    pub fn closing(self) -> Result<Bytes, Fault> {
        let orders = (0..self.parquet.num_columns())
            .map(|at| {
                let column = self.parquet.column(at);
                parquet::basic::ColumnOrder::TYPE_DEFINED_ORDER(
                    parquet::basic::ColumnOrder::sort_order_for_type(
                        column.logical_type_ref(),
                        column.converted_type(),
                        column.physical_type(),
                    ),
                )
            })
            .collect();
        let file = FileMetaData::new(
            1,
            self.rows as i64,
            Some(CREATED_BY.to_owned()),
            Some(self.key_values),
            self.parquet,
            Some(orders),
        );
        written(&ParquetMetaDataBuilder::new(file).set_row_groups(self.placed).build()).map(Bytes::from)
    }

    fn export_batch(&self, batch: &RecordBatch) -> Result<RecordBatch, Fault> {
        let arrays = batch
            .columns()
            .iter()
            .zip(self.arrow.fields())
            .map(|(array, field)| export_array(array, field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.arrow), arrays)
            .map_err(|error| Fault::internal("arranging a batch for export").with_source(error))
    }
}

/// How footers are read that are to be written again: what is read in short form cannot be.
fn writable() -> ParquetMetaDataOptions {
    ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false)
}

/// A footer with its end.
fn written(metadata: &ParquetMetaData) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    ParquetMetaDataWriter::new(&mut bytes, metadata).finish().map_err(broken("writing a footer"))?;
    Ok(bytes)
}

fn is_id(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeBinary(16))
}

/// The Arrow field of an exported column: as stored, but ids as text (`natalia.md` section 7: text = String).
fn export_field(field: &tollbook_model::schema::Field) -> Field {
    let stored = layout::stored_field(field);
    if field.kind == FieldKind::Uuid { stored.with_data_type(DataType::Utf8) } else { stored }
}

fn export_array(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Fault> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    match array.data_type() {
        DataType::FixedSizeBinary(16) => Ok(id_text(array)),
        // Dictionaries are taken as they are by the writer, which writes their values as the file's own.
        DataType::Dictionary(..) => {
            cast(array, wanted).map_err(|error| Fault::internal("unpacking a dictionary").with_source(error))
        }
        other => Err(Fault::internal(format!("a column of type {other} does not export as {wanted}"))),
    }
}

fn id_text(array: &ArrayRef) -> ArrayRef {
    let ids = array.as_fixed_size_binary();
    let mut text = StringBuilder::with_capacity(ids.len(), ids.len() * 36);
    let mut buffer = [0u8; 36];
    for row in 0..ids.len() {
        if ids.is_null(row) {
            text.append_null();
            continue;
        }
        let id = uuid::Uuid::from_slice(ids.value(row)).unwrap_or_default();
        text.append_value(id.hyphenated().encode_lower(&mut buffer));
    }
    Arc::new(text.finish())
}

fn properties(schema: &Schema, columns: &[usize]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for &column in columns {
        let field = &schema.fields[column];
        let path = ColumnPath::from(field.name);
        if field.kind == FieldKind::Uuid {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_compression(path, Compression::UNCOMPRESSED);
        }
    }
    builder.build()
}

/// The chunk's metadata with its first page at `start`, and without indexes, which are not copied.
fn moved(column: &ColumnChunkMetaData, start: u64) -> Result<ColumnChunkMetaData, Fault> {
    let (from, _) = column.byte_range();
    shifted(column, start as i64 - from as i64)
}

fn moved_by(column: &ColumnChunkMetaData, offset: u64) -> Result<ColumnChunkMetaData, Fault> {
    shifted(column, offset as i64)
}

fn shifted(column: &ColumnChunkMetaData, by: i64) -> Result<ColumnChunkMetaData, Fault> {
    column
        .clone()
        .into_builder()
        .set_data_page_offset(column.data_page_offset() + by)
        .set_dictionary_page_offset(column.dictionary_page_offset().map(|offset| offset + by))
        .set_index_page_offset(None)
        .set_bloom_filter_offset(None)
        .set_bloom_filter_length(None)
        .set_offset_index_offset(None)
        .set_offset_index_length(None)
        .set_column_index_offset(None)
        .set_column_index_length(None)
        .build()
        .map_err(broken("moving a column chunk"))
}
