//! How each column of a part is encoded, decided from its first rows: what Snappy cannot shrink stays plain, what
//! rises slowly is stored as differences, what repeats goes through a dictionary.
//!
//! The choice changes size and speed only; every reader of Parquet sees the same values.

use crate::layout;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    DEFAULT_WRITE_BATCH_SIZE, EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use std::collections::HashSet;
use tollbook_model::call::CallField;

/// Rows looked at.
const SAMPLE_ROWS: usize = 16 * 1024;
/// A dictionary pays off below this share of distinct values.
const MOST_DISTINCT: f64 = 0.7;
/// Storing shared beginnings once pays off from this share of bytes on.
const LEAST_SHARED: f64 = 0.25;
/// Snappy is worth its time below this share of the original size.
const MOST_COMPRESSED: f64 = 0.85;
/// A dictionary may hold this much before the writer gives it up.
const DICTIONARY_BYTES: usize = 4 * 1024 * 1024;

/// Writer properties for a part whose first rows are `sample` (a part's schema, sorted by id).
pub(super) fn properties(sample: &RecordBatch, row_group_rows: usize) -> WriterProperties {
    let sample = sample.slice(0, sample.num_rows().min(SAMPLE_ROWS));
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("tollbook ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_write_batch_size(DEFAULT_WRITE_BATCH_SIZE)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: CallField::Id as i32,
            descending: false,
            nulls_first: false,
        }]));
    for (at, field) in layout::part_schema().fields().iter().enumerate() {
        let path = ColumnPath::from(field.name().as_str());
        builder = match field.data_type() {
            DataType::Utf8 | DataType::Binary => text_column(builder, path, &sample, at),
            DataType::Int64 | DataType::Timestamp(..) => number_column(builder, path, &sample, at),
            DataType::FixedSizeBinary(_) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::PLAIN),
            _ => builder,
        };
    }
    let start = ColumnPath::from(CallField::StartAt.name());
    builder.set_column_statistics_enabled(start, EnabledStatistics::Page).build()
}

fn number_column(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    sample: &RecordBatch,
    at: usize,
) -> WriterPropertiesBuilder {
    let column = sample.column(at);
    let values: Vec<i64> = match column.data_type() {
        DataType::Int64 => column.as_primitive::<arrow_array::types::Int64Type>().iter().flatten().collect(),
        _ => column.as_primitive::<arrow_array::types::TimestampMicrosecondType>().iter().flatten().collect(),
    };
    let distinct: HashSet<i64> = values.iter().copied().collect();
    // 4096 distinct values cost 12 bits each through a dictionary, which differences of counters and moments beat.
    let few = distinct.len() <= 4096 && (distinct.len() as f64) <= 0.25 * values.len() as f64;
    if few || values.is_empty() {
        builder.set_column_dictionary_enabled(path, true)
    } else {
        builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
    }
}

fn text_column(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    sample: &RecordBatch,
    at: usize,
) -> WriterPropertiesBuilder {
    let column = sample.column(at);
    let values: Vec<&[u8]> = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().flatten().map(str::as_bytes).collect(),
        _ => column.as_binary::<i32>().iter().flatten().collect(),
    };
    let total: usize = values.iter().map(|value| value.len()).sum();
    let distinct: HashSet<&[u8]> = values.iter().copied().collect();
    if values.is_empty() || distinct.len() as f64 <= MOST_DISTINCT * values.len() as f64 {
        let dictionary: Vec<u8> = distinct.iter().flat_map(|value| value.iter().copied()).collect();
        return builder
            .set_column_dictionary_enabled(path.clone(), true)
            .set_column_compression(path, codec_for(&dictionary));
    }
    let shared: usize = values.windows(2).map(|pair| shared_beginning(pair[0], pair[1])).sum();
    if shared as f64 >= LEAST_SHARED * total as f64 {
        return builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY);
    }
    let mut plain = Vec::with_capacity(total + values.len() * 4);
    for value in &values {
        plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
        plain.extend_from_slice(value);
    }
    builder
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path.clone(), Encoding::PLAIN)
        .set_column_compression(path, codec_for(&plain))
}

fn shared_beginning(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

fn codec_for(bytes: &[u8]) -> Compression {
    if bytes.is_empty() {
        return Compression::UNCOMPRESSED;
    }
    let packed = snap::raw::Encoder::new().compress_vec(bytes).map_or(bytes.len(), |packed| packed.len());
    if packed as f64 <= MOST_COMPRESSED * bytes.len() as f64 {
        Compression::SNAPPY
    } else {
        Compression::UNCOMPRESSED
    }
}
