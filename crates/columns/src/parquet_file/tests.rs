//! A part written, read, copied and re-encoded gives the same records each time.

use super::*;
use crate::layout::{self, CONTENT_DIGEST, SEQUENCE};
use crate::rows::CallRows;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::sync::Arc;
use tollbook_model::call::{Admission, CallField, CallRecord};
use tollbook_model::dataset::Dataset;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::schema::Schema;
use tollbook_model::tenant::{Tenant, TenantName};
use tollbook_model::value::Value;

fn batch(rows: usize) -> RecordBatch {
    let tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0);
    let admission = Admission::new(&tenant, 1_767_700_000_000);
    let mut built = CallRows::new(rows);
    for row in 0..rows {
        let mut record = CallRecord::new();
        record.set_text(CallField::PbxAlias, if row % 3 == 0 { "paris-1" } else { "lyon" }).unwrap();
        record.set(CallField::StartAt, Value::Instant(1_767_603_600_000 + row as i64 * 7)).unwrap();
        record.set(CallField::DurationS, Value::Integer((row % 600) as i64)).unwrap();
        record.set_text(CallField::Direction, ["inbound", "outbound", "internal"][row % 3]).unwrap();
        record.set_text(CallField::CallingParty, format!("+44207946{:04}", row % 1000)).unwrap();
        record.set_text(CallField::SourceKey, format!("pbx-{row}")).unwrap();
        if row % 5 == 0 {
            record.push_extra("lastapp", "Dial");
        }
        admission.admit(&mut record).unwrap();
        built.push(&record);
    }
    let batch = built.finish().unwrap();
    let mut columns = batch.columns().to_vec();
    columns[SEQUENCE] = Arc::new(Int64Array::from_iter_values(1..=rows as i64)) as ArrayRef;
    RecordBatch::try_new(layout::stored_schema(), columns).unwrap()
}

fn part(batch: &RecordBatch) -> (WrittenPart, PartFile) {
    let mut writer = PartWriter::new(Vec::new());
    for start in (0..batch.num_rows()).step_by(5000) {
        writer.write(&batch.slice(start, 5000.min(batch.num_rows() - start))).unwrap();
    }
    let (written, bytes) = writer.finish().unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    let source = PartSource::new(Arc::new(Bytes::from(bytes)));
    (written, PartFile::open(source).unwrap())
}

fn whole(piece: &Piece) -> Bytes {
    match piece {
        Piece::Bytes(bytes) => bytes.clone(),
        Piece::Range { source, offset, length } => {
            source.bytes().read_at(*offset, usize::try_from(*length).unwrap()).unwrap()
        }
    }
}

fn export(columns: &[usize], make: impl Fn(&ExportAssembly) -> Vec<EncodedRowGroup>) -> Bytes {
    let schema = Schema::of(Dataset::Cdr);
    let mut assembly =
        ExportAssembly::new(&schema, columns, &[("tollbook.export_id", "x".to_owned())]).unwrap();
    let mut file = assembly.opening().to_vec();
    for group in make(&assembly.encoder()) {
        assembly.place(&group).unwrap();
        group.pieces.iter().for_each(|piece| file.extend_from_slice(&whole(piece)));
    }
    file.extend_from_slice(&assembly.closing().unwrap());
    Bytes::from(file)
}

fn read_back(file: Bytes) -> Vec<RecordBatch> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(1 << 20).build().unwrap();
    reader.collect::<Result<Vec<_>, _>>().unwrap()
}

#[test]
fn parts_are_cut_into_row_groups_and_read_back() {
    let rows = ROW_GROUP_ROWS + 1234;
    let batch = batch(rows);
    let (written, part) = part(&batch);
    assert_eq!(
        written.row_groups.iter().map(|group| group.rows).collect::<Vec<_>>(),
        [ROW_GROUP_ROWS as u64, 1234]
    );
    assert_eq!(written.sequences, (1, rows as u64));
    let ids = batch.column(CallField::Id as usize).as_fixed_size_binary();
    assert_eq!(&written.row_groups[1].ids.0, ids.value(ROW_GROUP_ROWS));
    // Columns in another order than the file's, and only chosen rows.
    let columns = [SEQUENCE, CallField::PbxAlias as usize, CallField::Mos as usize];
    let chosen = RowChoice::Mask(BooleanBuffer::collect_bool(1234, |row| (1000..1003).contains(&row)));
    let read: Vec<_> = part.read(1, &columns, 8192, chosen).unwrap().collect::<Result<_, _>>().unwrap();
    let sequences: Vec<i64> =
        read.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(
        sequences,
        [ROW_GROUP_ROWS as i64 + 1001, ROW_GROUP_ROWS as i64 + 1002, ROW_GROUP_ROWS as i64 + 1003]
    );
    assert!(matches!(read[0].column(1).data_type(), arrow_schema::DataType::Dictionary(..)));
    assert_eq!(read[0].column(2).null_count(), 3);
}

#[test]
fn copied_and_encoded_row_groups_hold_the_same_records() {
    let batch = batch(20_000);
    let (_, part) = part(&batch);
    let columns = Schema::of(Dataset::Cdr).default_columns();
    let copied =
        export(&columns, |assembly| vec![assembly.copy(&part, 0).unwrap().expect("has all columns")]);
    let encoded = export(&columns, |assembly| {
        let batches: Vec<_> =
            part.read(0, &columns, 4096, RowChoice::All).unwrap().collect::<Result<_, _>>().unwrap();
        batches.chunks(2).map(|two| assembly.encode(two).unwrap()).collect()
    });
    assert_eq!(rows_in_file(copied.clone()).unwrap(), 20_000);
    assert!(
        rows_in_file(copied.slice(1..)).is_ok() && rows_in_file(copied.slice(..copied.len() - 1)).is_err()
    );
    let (copied, encoded) = (read_back(copied), read_back(encoded));
    let rows: usize = encoded.iter().map(RecordBatch::num_rows).sum();
    assert_eq!((copied[0].num_rows(), rows), (20_000, 20_000));
    let joined = arrow_select::concat::concat_batches(&encoded[0].schema(), &encoded).unwrap();
    assert_eq!(copied[0], joined);
    let ids = copied[0].column(0).as_string::<i32>();
    let first = uuid::Uuid::from_slice(batch.column(0).as_fixed_size_binary().value(0)).unwrap();
    assert_eq!(ids.value(0), first.to_string());
}

/// The footer tells of pages, statistics and places: all of it must survive.
#[test]
fn a_file_that_is_gone_on_with_is_the_same_to_the_byte() {
    let (_, part) = part(&batch(ROW_GROUP_ROWS + 5000));
    let schema = Schema::of(Dataset::Cdr);
    let columns = schema.default_columns();
    let start = || ExportAssembly::new(&schema, &columns, &[("tollbook.export_id", "x".to_owned())]).unwrap();
    let encoder = start().encoder();
    let rows: Vec<_> =
        part.read(1, &columns, 1000, RowChoice::All).unwrap().collect::<Result<_, _>>().unwrap();
    let groups = [
        encoder.copy(&part, 0).unwrap().unwrap(),
        encoder.encode(&rows[..2]).unwrap(),
        encoder.encode(&[]).unwrap(),
        encoder.copy(&part, 1).unwrap().unwrap(),
        encoder.encode(&rows[2..]).unwrap(),
    ];
    let mut whole = start();
    groups.iter().for_each(|group| whole.place(group).unwrap());
    assert_eq!(whole.row_groups(), 4);
    let wanted = whole.closing().unwrap();
    for stop in 0..=groups.len() {
        let mut first = start();
        let mut footers = vec![first.footer_from(0).unwrap()];
        for group in &groups[..stop] {
            let before = first.row_groups();
            first.place(group).unwrap();
            footers.push(first.footer_from(before).unwrap());
        }
        let mut second = start();
        footers.iter().for_each(|footer| second.restore(footer).unwrap());
        assert_eq!((second.rows(), second.row_groups()), (first.rows(), first.row_groups()));
        groups[stop..].iter().for_each(|group| second.place(group).unwrap());
        assert!(second.closing().unwrap() == wanted, "stopped after {stop}");
    }
}

#[test]
fn row_groups_of_another_file_or_place_are_refused() {
    let batch = batch(1000);
    let (_, part) = part(&batch);
    let schema = Schema::of(Dataset::Cdr);
    let start = |columns: &[usize]| ExportAssembly::new(&schema, columns, &[]).unwrap();
    let columns = schema.default_columns();
    let mut first = start(&columns);
    let group = first.encoder().copy(&part, 0).unwrap().unwrap();
    first.place(&group).unwrap();
    first.place(&group).unwrap();
    let (both, second) = (first.footer_from(0).unwrap(), first.footer_from(1).unwrap());
    start(&columns).restore(&both).unwrap();
    assert!(start(&columns).restore(&second).is_err(), "what is before it is missing");
    assert!(start(&columns[1..]).restore(&both).is_err(), "other columns");
    assert!(start(&columns).restore(&both[..both.len() / 2]).is_err(), "cut off");
}

#[test]
fn parts_leave_content_digests_out_and_those_that_still_hold_them_read_on() {
    let batch = batch(100);
    let columns = [CONTENT_DIGEST, SEQUENCE];
    let read = |part: &PartFile| -> RecordBatch {
        let mut rows = part.read(0, &columns, 8192, RowChoice::All).unwrap();
        rows.next().unwrap().unwrap()
    };
    let (_, new) = part(&batch);
    assert_eq!(new.file_column(CONTENT_DIGEST), None);
    assert_eq!(read(&new).column(0).null_count(), 100);
    assert_eq!(read(&new).column(1), batch.column(SEQUENCE));

    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, layout::stored_schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let old = PartFile::open(PartSource::new(Arc::new(Bytes::from(bytes)))).unwrap();
    assert_eq!(read(&old).columns(), [batch.column(CONTENT_DIGEST).clone(), batch.column(SEQUENCE).clone()]);
}

#[test]
fn records_out_of_order_are_refused() {
    let batch = batch(10);
    let mut writer = PartWriter::new(Vec::new());
    writer.write(&batch.slice(5, 5)).unwrap();
    assert!(writer.write(&batch.slice(0, 5)).is_err());
}
