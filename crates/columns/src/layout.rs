//! How records are laid out in columns: the stored schema of the journal and that of the lake's parts, derived from
//! the field catalogue, and the types in which text columns are read for exports.
//!
//! Which columns an export shows, and how values look, is not decided here.

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};
use tollbook_model::call::{CALL_FIELDS, CallField};
use tollbook_model::schema::{Field, FieldKind, Schema, Variety};

/// Column of the sequence number: Int64; null in a journal batch, where the batch's first sequence and the row's
/// position give it.
pub const SEQUENCE: usize = CallField::COUNT;
/// Column of the content digest: Int64, the bits of the 64-bit digest. Only the journal keeps it; in parts it would
/// be eight bytes a record that nothing shrinks, and `content_digest` makes it again from the other columns.
pub const CONTENT_DIGEST: usize = CallField::COUNT + 1;
/// Column of the sealed original of a pseudonymised caller: Binary, may be null. Never exported.
pub const SEALED_CALLING_PARTY: usize = CallField::COUNT + 2;
/// Columns in all: the catalogue's, then the three above.
pub const STORED_COLUMNS: usize = CallField::COUNT + 3;

/// The stored schema of call records: the catalogue's fields in order, then sequence, digest, sealed caller.
pub fn stored_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields: Vec<ArrowField> = CALL_FIELDS.iter().map(stored_field).collect();
        fields.push(ArrowField::new("sequence", DataType::Int64, true));
        fields.push(ArrowField::new("content_digest", DataType::Int64, true));
        fields.push(ArrowField::new("sealed_calling_party", DataType::Binary, true));
        Arc::new(ArrowSchema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Stored columns that a part of the lake holds, in its order: all but the content digest.
pub fn part_columns() -> impl Iterator<Item = usize> {
    (0..STORED_COLUMNS).filter(|&column| column != CONTENT_DIGEST)
}

/// The schema of a part of the lake: [`part_columns`] of the stored schema.
pub fn part_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let stored = stored_schema();
        Arc::new(ArrowSchema::new(part_columns().map(|at| stored.field(at).clone()).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Arrow field in which values of a catalogue field are stored.
pub fn stored_field(field: &Field) -> ArrowField {
    ArrowField::new(field.name, stored_type(field.kind), !field.required)
}

/// Arrow schema of whole records of any dataset, in catalogue order, as rows handed over are laid out.
pub fn record_schema(schema: &Schema) -> SchemaRef {
    Arc::new(ArrowSchema::new(schema.fields.iter().map(stored_field).collect::<Vec<_>>()))
}

/// Arrow type in which values of a kind are stored.
pub fn stored_type(kind: FieldKind) -> DataType {
    match kind {
        FieldKind::Uuid => DataType::FixedSizeBinary(16),
        FieldKind::Text | FieldKind::Word(_) | FieldKind::LastFour | FieldKind::StringMap => DataType::Utf8,
        FieldKind::Integer { .. } => DataType::Int64,
        FieldKind::Instant => instant_type(),
        FieldKind::Number => DataType::Float64,
        FieldKind::Money => DataType::Decimal128(18, 6),
        FieldKind::Boolean => DataType::Boolean,
    }
}

/// Microseconds in UTC, as Parquet keeps them; values are whole milliseconds.
pub fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Arrow type in which a stored column is read: text of little variety stays a dictionary, so that each value is
/// rendered and compared once.
pub fn read_type(field: &Field) -> DataType {
    match (stored_type(field.kind), field.variety) {
        (DataType::Utf8, Variety::Low) => dictionary_type(),
        (stored, _) => stored,
    }
}

/// Text as a dictionary with 32-bit keys.
pub fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}
