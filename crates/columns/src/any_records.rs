//! Any records, for property tests: every field with any value that it takes, or without one.

use proptest::collection::vec;
use proptest::prelude::*;
use tollbook_model::call::{CallField, CallRecord, LATEST_MS};
use tollbook_model::money::Money;
use tollbook_model::schema::FieldKind;
use tollbook_model::value::Value;

/// Values that a field may have, and none where it may have none.
fn values(field: CallField) -> BoxedStrategy<Value<'static>> {
    let present = match field.definition().kind {
        FieldKind::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        FieldKind::Text => ".{0,12}".prop_map(|text| Value::Text(text.into())).boxed(),
        FieldKind::LastFour => "[0-9]{4}".prop_map(|text| Value::Text(text.into())).boxed(),
        FieldKind::Word(words) => {
            proptest::sample::select(words).prop_map(|word| Value::Text(word.into())).boxed()
        }
        FieldKind::Integer { min, max } => (min..=max).prop_map(Value::Integer).boxed(),
        FieldKind::Instant => (0..=LATEST_MS).prop_map(Value::Instant).boxed(),
        FieldKind::Number => (-1e9..1e9).prop_map(Value::Number).boxed(),
        FieldKind::Money => (-999_999_999_999_999_999i64..=999_999_999_999_999_999)
            .prop_map(|millionths| Value::Money(Money::from_millionths(millionths).unwrap()))
            .boxed(),
        FieldKind::StringMap | FieldKind::Boolean => return Just(Value::Null).boxed(),
    };
    if field.definition().required { present } else { prop_oneof![Just(Value::Null), present].boxed() }
}

/// Records of any content, each field with and without a value.
pub(crate) fn records() -> impl Strategy<Value = Vec<CallRecord<'static>>> {
    let row: Vec<_> = CallField::ALL.into_iter().map(values).collect();
    let extra = vec((".{0,4}", ".{0,8}"), 0..3);
    let sealed = proptest::option::of(vec(any::<u8>(), 0..20));
    let record = (row, extra, sealed).prop_map(|(row, extra, sealed)| {
        let mut record = CallRecord::new();
        for (field, value) in CallField::ALL.into_iter().zip(row) {
            record.set(field, value).unwrap();
        }
        for (name, value) in extra {
            record.push_extra(name, value);
        }
        if let Some(sealed) = sealed {
            record.set_sealed_calling_party(sealed);
        }
        record
    });
    vec(record, 0..20)
}
