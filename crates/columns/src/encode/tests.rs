//! Whole batches through the encoder: golden texts, and everything read back again.

use super::{TextEncoder, TextFormat};
use arrow_array::builder::{
    BooleanBuilder, Decimal128Builder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder,
};
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use tollbook_model::dataset::Dataset;
use tollbook_model::money::Money;
use tollbook_model::schema::{FieldKind, Schema};
use tollbook_model::value::Value;

const CSV: TextFormat = TextFormat::Csv { formula_guard: false };
const GUARDED: TextFormat = TextFormat::Csv { formula_guard: true };

type Row = Vec<Value<'static>>;

fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}

/// How columns of text are laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Texts {
    Plain,
    /// Each value once, with unused values and nulls among them.
    Dictionary,
    /// As many values as rows or more.
    WideDictionary,
}

fn text_array(values: &[Option<&str>], texts: Texts) -> ArrayRef {
    if texts == Texts::Plain {
        return Arc::new(StringArray::from(values.to_vec()));
    }
    let mut distinct: Vec<Option<&str>> = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if texts == Texts::WideDictionary {
        distinct.retain(Option::is_some);
        distinct.extend(values.iter().map(|_| Some("unused")));
    } else {
        distinct.insert(0, Some("unused, and \"special\""));
    }
    let keys = values.iter().map(|value| {
        let key = distinct.iter().position(|other| other == value && value.is_some());
        // Absent values are null keys or, where the dictionary has one, the key of a null.
        key.or_else(|| distinct.iter().position(Option::is_none)).map(|key| key as i32)
    });
    let keys = Int32Array::from_iter(keys);
    Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(distinct))))
}

fn array(kind: FieldKind, values: &[&Value<'static>], texts: Texts) -> ArrayRef {
    match kind {
        FieldKind::Uuid => {
            let mut builder = FixedSizeBinaryBuilder::new(16);
            for value in values {
                match value {
                    Value::Uuid(uuid) => builder.append_value(uuid).unwrap(),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        FieldKind::Text | FieldKind::LastFour | FieldKind::Word(_) | FieldKind::StringMap => {
            text_array(&values.iter().map(|value| value.as_text()).collect::<Vec<_>>(), texts)
        }
        FieldKind::Integer { .. } => {
            let mut builder = Int64Builder::new();
            values.iter().for_each(|value| {
                builder.append_option(if let Value::Integer(n) = value { Some(*n) } else { None })
            });
            Arc::new(builder.finish())
        }
        FieldKind::Instant => Arc::new(
            values
                .iter()
                .map(|value| if let Value::Instant(ms) = value { Some(ms * 1000) } else { None })
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        FieldKind::Number => {
            let mut builder = Float64Builder::new();
            values.iter().for_each(|value| {
                builder.append_option(if let Value::Number(n) = value { Some(*n) } else { None })
            });
            Arc::new(builder.finish())
        }
        FieldKind::Money => {
            let mut builder = Decimal128Builder::new().with_precision_and_scale(18, 6).unwrap();
            for value in values {
                builder.append_option(if let Value::Money(m) = value {
                    Some(i128::from(m.millionths()))
                } else {
                    None
                });
            }
            Arc::new(builder.finish())
        }
        FieldKind::Boolean => {
            let mut builder = BooleanBuilder::new();
            values.iter().for_each(|value| {
                builder.append_option(if let Value::Boolean(b) = value { Some(*b) } else { None })
            });
            Arc::new(builder.finish())
        }
    }
}

fn batch(schema: &Schema, columns: &[usize], rows: &[Row], texts: Texts) -> RecordBatch {
    let arrays = columns.iter().enumerate().map(|(at, &column)| {
        let field = &schema.fields[column];
        (field.name, array(field.kind, &rows.iter().map(|row| &row[at]).collect::<Vec<_>>(), texts), true)
    });
    RecordBatch::try_from_iter_with_nullable(arrays).unwrap()
}

fn positions(schema: &Schema, names: &[&str]) -> Vec<usize> {
    names.iter().map(|name| schema.position(name).unwrap()).collect()
}

/// A whole file of these batches.
fn file(encoder: &TextEncoder, batches: &[RecordBatch]) -> String {
    let mut out = encoder.header();
    let mut empty = true;
    for batch in batches {
        encoder.encode(batch, empty, &mut out).unwrap();
        empty &= batch.num_rows() == 0;
    }
    out.extend(encoder.footer(empty));
    String::from_utf8(out).unwrap()
}

/// The file of rows of `cdr`, checked to be the same however texts are laid out.
fn export(format: TextFormat, names: &[&str], rows: &[Row], zone: &str) -> String {
    let schema = Schema::of(Dataset::Cdr);
    let columns = positions(&schema, names);
    let encoder = TextEncoder::new(format, schema, &columns, TimeZone::get(zone).unwrap());
    let plain = file(&encoder, &[batch(&schema, &columns, rows, Texts::Plain)]);
    for texts in [Texts::Dictionary, Texts::WideDictionary] {
        assert_eq!(file(&encoder, &[batch(&schema, &columns, rows, texts)]), plain, "{texts:?}");
    }
    plain
}

fn sample() -> (Vec<&'static str>, Vec<Row>) {
    let names = vec![
        "id",
        "pbx_alias",
        "start_at",
        "duration_s",
        "calling_party",
        "trunk",
        "mos",
        "rate",
        "extra",
        "answer_at",
    ];
    let uuid = Value::Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
    let rows = vec![
        vec![
            uuid.clone(),
            text("main, \"old\""),
            Value::Instant(1_767_571_200_000),
            Value::Integer(61),
            text("+442071234567"),
            text(""),
            Value::Number(4.1),
            Value::Money(Money::parse("0.0150").unwrap()),
            text("{\"a\":\"1\",\"b\":\"x,y\"}"),
            Value::Instant(1_767_571_207_042),
        ],
        vec![
            uuid,
            text("=cmd"),
            Value::Instant(0),
            Value::Integer(-5),
            Value::Null,
            Value::Null,
            Value::Number(-1e-7),
            Value::Money(Money::parse("-3.5").unwrap()),
            Value::Null,
            Value::Null,
        ],
    ];
    (names, rows)
}

/// Workers share an encoder: it does not compile otherwise.
const _: fn() = || {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<TextEncoder>();
};

#[test]
fn csv_golden() {
    let (names, rows) = sample();
    let expected = "\u{feff}id,pbx_alias,start_at,duration_s,calling_party,trunk,mos,rate,extra,answer_at\n\
        00010203-0405-0607-0809-0a0b0c0d0eff,\"main, \"\"old\"\"\",2026-01-05T00:00:00.000Z,61,+442071234567,\"\",4.1,0.015,\
        \"{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"x,y\"\"}\",2026-01-05T00:00:07.042Z\n\
        00010203-0405-0607-0809-0a0b0c0d0eff,=cmd,1970-01-01T00:00:00.000Z,-5,,,-1e-7,-3.5,,\n";
    assert_eq!(export(CSV, &names, &rows, "UTC"), expected);
    let guarded = expected.replace("=cmd", "'=cmd").replace("-1e-7", "'-1e-7");
    assert_eq!(export(GUARDED, &names, &rows, "UTC"), guarded, "nothing else is marked");
}

#[test]
fn json_golden() {
    let (names, rows) = sample();
    let first = "{\"answer_at\":\"2026-01-05T01:00:07.042+01:00\",\"calling_party\":\"+442071234567\",\"duration_s\":61,\
        \"extra\":{\"a\":\"1\",\"b\":\"x,y\"},\"id\":\"00010203-0405-0607-0809-0a0b0c0d0eff\",\"mos\":4.1,\
        \"pbx_alias\":\"main, \\\"old\\\"\",\"rate\":\"0.015\",\"start_at\":\"2026-01-05T01:00:00.000+01:00\",\"trunk\":\"\"}";
    let second = "{\"duration_s\":-5,\"id\":\"00010203-0405-0607-0809-0a0b0c0d0eff\",\"mos\":-1e-7,\"pbx_alias\":\"=cmd\",\
        \"rate\":\"-3.5\",\"start_at\":\"1970-01-01T01:00:00.000+01:00\"}";
    assert_eq!(export(TextFormat::Ndjson, &names, &rows, "Europe/Berlin"), format!("{first}\n{second}\n"));
    assert_eq!(
        export(TextFormat::Json, &names, &rows, "Europe/Berlin"),
        format!("[\n{first},\n{second}\n]\n")
    );
}

#[test]
fn files_without_records() {
    for (format, expected) in
        [(CSV, "\u{feff}id,leg\n"), (TextFormat::Ndjson, ""), (TextFormat::Json, "[]\n")]
    {
        assert_eq!(export(format, &["id", "leg"], &[], "UTC"), expected);
    }
}

#[test]
fn only_the_first_batch_with_rows_opens_the_array() {
    let schema = Schema::of(Dataset::Cdr);
    let columns = positions(&schema, &["leg"]);
    let encoder = TextEncoder::new(TextFormat::Json, schema, &columns, TimeZone::UTC);
    let part = |rows: &[Row]| batch(&schema, &columns, rows, Texts::Plain);
    let batches =
        [part(&[]), part(&[vec![text("a")]]), part(&[]), part(&[vec![Value::Null], vec![text("b")]])];
    assert_eq!(file(&encoder, &batches), "[\n{\"leg\":\"a\"},\n{},\n{\"leg\":\"b\"}\n]\n");
}

#[test]
fn columns_without_values_leave_their_places() {
    let names = ["leg", "codec", "attempt", "mos", "cli"];
    let row =
        |codec: Value<'static>, mos: Value<'static>| vec![Value::Null, codec, Value::Null, mos, Value::Null];
    let none = row(Value::Null, Value::Null);
    let header = "\u{feff}leg,codec,attempt,mos,cli\n";
    for (rows, lines, records) in [
        (vec![none.clone()], ",,,,\n", "{}\n"),
        (
            vec![row(text("opus"), Value::Null), none.clone()],
            ",opus,,,\n,,,,\n",
            "{\"codec\":\"opus\"}\n{}\n",
        ),
        (vec![row(text("opus"), Value::Number(3.0))], ",opus,,3,\n", "{\"codec\":\"opus\",\"mos\":3}\n"),
        (vec![row(Value::Null, Value::Number(f64::NAN))], ",,,,\n", "{}\n"),
    ] {
        assert_eq!(export(CSV, &names, &rows, "UTC"), format!("{header}{lines}"));
        assert_eq!(export(TextFormat::Ndjson, &names, &rows, "UTC"), records);
    }
    // Arrow's own column of nothing counts as well.
    let schema = Schema::of(Dataset::Cdr);
    let columns = positions(&schema, &["leg", "codec"]);
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    let batch = RecordBatch::try_from_iter([("leg", Arc::clone(&nothing)), ("codec", nothing)]).unwrap();
    let encoder = TextEncoder::new(CSV, schema, &columns, TimeZone::UTC);
    assert_eq!(file(&encoder, &[batch]), "\u{feff}leg,codec\n,\n,\n");
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    // From RFC 8785, appendix B.
    for (number, expected) in [
        (0.0, "0"),
        (-0.0, "0"),
        (f64::from_bits(1), "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1e21, "1e+21"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (333333333.33333325, "333333333.33333325"),
        (4.1, "4.1"),
        (100.0, "100"),
    ] {
        let rows = [vec![Value::Number(number)]];
        assert_eq!(export(TextFormat::Ndjson, &["mos"], &rows, "UTC"), format!("{{\"mos\":{expected}}}\n"));
        assert_eq!(export(CSV, &["mos"], &rows, "UTC"), format!("\u{feff}mos\n{expected}\n"));
    }
    let rows = [vec![Value::Integer(i64::MAX)]];
    assert_eq!(export(TextFormat::Ndjson, &["attempt"], &rows, "UTC"), "{\"attempt\":9223372036854775807}\n");
}

#[test]
fn booleans_of_the_configuration() {
    let schema = Schema::of(Dataset::AgentConfiguration);
    let columns = positions(&schema, &["enabled", "kind"]);
    let rows: Vec<Row> =
        [Value::Boolean(true), Value::Boolean(false), Value::Null].map(|b| vec![b, text("csv")]).into();
    let batch = batch(&schema, &columns, &rows, Texts::Dictionary);
    let encoder = |format| TextEncoder::new(format, schema, &columns, TimeZone::UTC);
    assert_eq!(
        file(&encoder(CSV), std::slice::from_ref(&batch)),
        "\u{feff}enabled,kind\ntrue,csv\nfalse,csv\n,csv\n"
    );
    let records =
        "{\"enabled\":true,\"kind\":\"csv\"}\n{\"enabled\":false,\"kind\":\"csv\"}\n{\"kind\":\"csv\"}\n";
    assert_eq!(file(&encoder(TextFormat::Ndjson), &[batch]), records);
}

#[test]
fn batches_of_another_shape_are_refused() {
    let schema = Schema::of(Dataset::Cdr);
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let batch = RecordBatch::try_from_iter([("id", wrong)]).unwrap();
    for names in [&["id"][..], &["duration_s"], &["start_at"], &["mos"], &["rate"], &["leg", "codec"]] {
        let encoder = TextEncoder::new(CSV, schema, &positions(&schema, names), TimeZone::UTC);
        assert!(encoder.encode(&batch, true, &mut Vec::new()).is_err(), "{names:?}");
    }
}

fn some_text() -> impl Strategy<Value = Value<'static>> {
    let pieces = prop::sample::select(vec![
        "a",
        "0",
        "+49",
        "-",
        "=",
        "@",
        ",",
        "\"",
        "\n",
        "\r",
        "\t",
        " ",
        "\\",
        "\u{1}",
        "é",
        "電",
        "＝",
        "😀",
        "'",
        "a text that is longer than one block of thirty-two bytes",
    ]);
    prop_oneof![
        1 => Just(Value::Null),
        4 => prop::collection::vec(pieces, 0..6).prop_map(|pieces| text(&pieces.concat())),
        1 => (200usize..700).prop_map(|n| text(&"long".repeat(n))),
    ]
}

fn some_value(kind: FieldKind) -> BoxedStrategy<Value<'static>> {
    let value = match kind {
        FieldKind::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        FieldKind::Text | FieldKind::LastFour | FieldKind::Word(_) => return some_text().boxed(),
        FieldKind::StringMap => some_text()
            .prop_map(|value| {
                text(&tollbook_model::canonical::object_of_strings([("k", value.as_text().unwrap_or(""))]))
            })
            .boxed(),
        FieldKind::Integer { .. } => prop_oneof![0i64..2000, any::<i64>()].prop_map(Value::Integer).boxed(),
        FieldKind::Instant => prop_oneof![1_767_571_200_000i64..1_767_571_400_000, 0i64..253_000_000_000_000]
            .prop_map(Value::Instant)
            .boxed(),
        FieldKind::Number => {
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Number).boxed()
        }
        FieldKind::Money => (-999_999_999_999_999_999i64..=999_999_999_999_999_999)
            .prop_map(|n| Value::Money(Money::from_millionths(n).unwrap()))
            .boxed(),
        FieldKind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
}

const EVERY_KIND: [&str; 12] = [
    "trunk",
    "id",
    "calling_last4",
    "direction",
    "duration_s",
    "start_at",
    "mos",
    "rate",
    "extra",
    "calling_party",
    "leg",
    "q850_cause",
];

fn some_rows() -> impl Strategy<Value = Vec<Row>> {
    let schema = Schema::of(Dataset::Cdr);
    let row: Vec<_> =
        positions(&schema, &EVERY_KIND).into_iter().map(|at| some_value(schema.fields[at].kind)).collect();
    prop::collection::vec(row, 0..300)
}

/// The text of a value in a CSV cell, before quoting, written the slow and plain way.
fn plain_text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::Instant(ms) => {
            jiff::Timestamp::from_millisecond(*ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        }
        Value::Number(n) => n.to_string(),
        Value::Money(money) => money.to_string(),
        Value::Uuid(uuid) => {
            let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        Value::Boolean(yes) => yes.to_string(),
        Value::Null | Value::Bytes(_) => String::new(),
    }
}

fn json_value(value: &Value<'_>, kind: FieldKind) -> Option<Json> {
    Some(match value {
        Value::Null => return None,
        Value::Integer(n) => json!(n),
        // Minus zero is written as 0.
        Value::Number(n) => json!(n + 0.0),
        Value::Text(text) if kind == FieldKind::StringMap => serde_json::from_str(text).unwrap(),
        other => json!(plain_text(other)),
    })
}

/// Reads JSON with readers of other people. The second one is here because the first rounds some numbers.
fn read_json(text: &str) -> Json {
    serde_json::from_str::<Json>(text).unwrap();
    let mut json: Json = sonic_rs::from_str(text).unwrap();
    // A number without a fraction reads as an integer; what counts is the number.
    if let Some(number) = json.get_mut("mos") {
        *number = json!(number.as_f64());
    }
    json
}

/// Reads CSV with a reader of other people: all cells of all rows.
fn read_csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut input, mut output, mut ends) = (bytes, vec![0; bytes.len() + 64], vec![0; 64]);
    let mut rows = Vec::new();
    loop {
        let (result, taken, _, cells) = reader.read_record(input, &mut output, &mut ends);
        input = &input[taken..];
        match result {
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::Record => {
                let from = |at: usize| if at == 0 { 0 } else { ends[at - 1] };
                let cell = |at: usize| String::from_utf8(output[from(at)..ends[at]].to_vec()).unwrap();
                rows.push((0..cells).map(cell).collect());
            }
            csv_core::ReadRecordResult::End => return rows,
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn csv_reads_back_cell_by_cell(rows in some_rows()) {
        let csv = export(CSV, &EVERY_KIND, &rows, "UTC");
        let read = read_csv(csv.strip_prefix('\u{feff}').unwrap().as_bytes());
        prop_assert_eq!(&read[0], &EVERY_KIND);
        prop_assert_eq!(read.len(), rows.len() + 1);
        for (cells, row) in read[1..].iter().zip(&rows) {
            for (cell, value) in cells.iter().zip(row) {
                match value {
                    Value::Number(number) => prop_assert_eq!(cell.parse::<f64>().unwrap(), *number),
                    other => prop_assert_eq!(cell, &plain_text(other)),
                }
            }
        }
    }

    #[test]
    fn the_guard_only_adds_marks(rows in some_rows()) {
        let read = |format| read_csv(export(format, &EVERY_KIND, &rows, "UTC").as_bytes());
        for (plain, guarded) in read(CSV).iter().flatten().zip(read(GUARDED).iter().flatten()) {
            if plain != guarded {
                prop_assert_eq!(guarded.strip_prefix('\''), Some(plain.as_str()));
            }
            prop_assert!(!guarded.starts_with(['=', '@', '\t', '\r', '＝']));
        }
    }

    #[test]
    fn json_reads_back(rows in some_rows()) {
        let schema = Schema::of(Dataset::Cdr);
        let columns = positions(&schema, &EVERY_KIND);
        let expected: Vec<Json> = rows.iter().map(|row| {
            let members = row.iter().zip(&columns).filter_map(|(value, &at)| {
                json_value(value, schema.fields[at].kind).map(|json| (schema.fields[at].name.to_owned(), json))
            });
            Json::Object(members.collect::<Map<_, _>>())
        }).collect();
        let lines = export(TextFormat::Ndjson, &EVERY_KIND, &rows, "UTC");
        let read: Vec<Json> = lines.lines().map(read_json).collect();
        prop_assert_eq!(&read, &expected);
        for record in &read {
            let names: Vec<&String> = record.as_object().unwrap().keys().collect();
            prop_assert!(names.is_sorted());
        }
        // The array holds the same lines.
        let array = export(TextFormat::Json, &EVERY_KIND, &rows, "UTC");
        prop_assert!(serde_json::from_str::<Vec<Json>>(&array).is_ok_and(|records| records.len() == rows.len()));
        let joined = if rows.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", lines.trim_end_matches('\n').replace('\n', ",\n")) };
        prop_assert_eq!(array, joined);
    }

    #[test]
    fn slices_of_a_batch_join_to_the_whole(rows in some_rows(), cut in 0.0f64..1.0) {
        let schema = Schema::of(Dataset::Cdr);
        let columns = positions(&schema, &EVERY_KIND);
        let at = (rows.len() as f64 * cut) as usize;
        for texts in [Texts::Plain, Texts::Dictionary, Texts::WideDictionary] {
            let whole = batch(&schema, &columns, &rows, texts);
            let parts = [whole.slice(0, at), whole.slice(at, rows.len() - at)];
            for format in [GUARDED, TextFormat::Json] {
                let encoder = TextEncoder::new(format, schema, &columns, TimeZone::get("America/New_York").unwrap());
                prop_assert_eq!(file(&encoder, &parts), file(&encoder, std::slice::from_ref(&whole)));
            }
        }
    }
}
