//! From the arrays of a batch to cells: which values can be copied as they are, and which are rendered beforehand.
//!
//! A dictionary's values are rendered once, a column of texts is searched once, as a whole, for bytes that need
//! care. Nothing is kept from one batch to the next, so that workers can share an encoder.

use super::cell::{Around, Cell, Values};
use super::csv;
use super::json;
use super::rendered::Rendered;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, DictionaryArray, StringArray};
use arrow_schema::DataType;
use std::borrow::Cow;
use tollbook_kit::fault::Fault;
use tollbook_model::canonical;
use tollbook_model::money::Money;
use tollbook_model::schema::{Field, FieldKind};

/// How texts of a column are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextStyle {
    /// A CSV cell.
    Cell { guard: bool },
    /// Within the quotes of a JSON string.
    JsonString,
    /// JSON text, as it is.
    JsonText,
}

impl TextStyle {
    /// Can all these texts be copied as they are?
    fn copies(self, texts: &StringArray) -> bool {
        let offsets = texts.value_offsets();
        let bytes = &texts.values()[offsets[0] as usize..offsets[texts.len()] as usize];
        match self {
            Self::Cell { guard } => !(csv::needs_quotes(bytes) || guard && any_may_begin_formula(texts)),
            Self::JsonString => !json::needs_escapes(bytes),
            Self::JsonText => true,
        }
    }

    fn push(self, out: &mut Vec<u8>, text: &str) {
        match self {
            Self::Cell { guard } => csv::push_cell(out, text, guard),
            Self::JsonString => canonical::push_string_body(out, text),
            Self::JsonText => out.extend_from_slice(text.as_bytes()),
        }
    }
}

fn any_may_begin_formula(texts: &StringArray) -> bool {
    texts.iter().flatten().any(|text| text.bytes().next().is_some_and(csv::may_begin_formula))
}

/// The cell of a column. `column` must have the Arrow type of the field's kind.
///
/// # Errors
/// It has another type, or holds an amount of more than 18 digits.
pub(super) fn cell<'a>(
    field: &Field,
    around: &'a Around,
    style: TextStyle,
    column: &'a dyn Array,
) -> Result<Cell<'a>, Fault> {
    let wrong = || Fault::internal(format!("column {} came as {}", field.name, column.data_type()));
    let values = match field.kind {
        FieldKind::Text | FieldKind::LastFour | FieldKind::Word(_) | FieldKind::StringMap => {
            return text_cell(around, style, column).ok_or_else(wrong);
        }
        FieldKind::Uuid => {
            let uuids = column.as_fixed_size_binary_opt().filter(|uuids| uuids.value_length() == 16);
            Values::Uuid(uuids.ok_or_else(wrong)?.value_data().as_chunks().0)
        }
        FieldKind::Integer { .. } => {
            Values::Integer(column.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?.values())
        }
        FieldKind::Instant => {
            Values::Instant(column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?.values())
        }
        FieldKind::Number => {
            let numbers = column.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
            // Neither format can say "not a number" or "infinite": that is no value.
            Values::Rows(rows(
                around,
                numbers.iter().map(|number| number.filter(|number| number.is_finite())),
                |out, number| {
                    style_number(style, out, ryu_js::Buffer::new().format_finite(number));
                    Ok(())
                },
            )?)
        }
        FieldKind::Money => {
            let exact = matches!(column.data_type(), DataType::Decimal128(_, 6));
            let amounts = column.as_primitive_opt::<Decimal128Type>().filter(|_| exact).ok_or_else(wrong)?;
            Values::Rows(rows(around, amounts.iter(), |out, millionths| {
                let money = i64::try_from(millionths).ok().and_then(Money::from_millionths);
                let money =
                    money.ok_or_else(|| Fault::internal("a stored amount has more than 18 digits"))?;
                out.extend_from_slice(money.to_string().as_bytes());
                Ok(())
            })?)
        }
        FieldKind::Boolean => boolean(around, column.as_boolean_opt().ok_or_else(wrong)?),
    };
    Ok(Cell::new(around, column.nulls(), values))
}

/// Numbers may begin with a minus and still be no number to the guard's rule (`-1e-7`); JSON writes them bare.
fn style_number(style: TextStyle, out: &mut Vec<u8>, text: &str) {
    match style {
        TextStyle::Cell { .. } => style.push(out, text),
        TextStyle::JsonString | TextStyle::JsonText => out.extend_from_slice(text.as_bytes()),
    }
}

fn text_cell<'a>(around: &'a Around, style: TextStyle, column: &'a dyn Array) -> Option<Cell<'a>> {
    if let Some(texts) = column.as_string_opt::<i32>() {
        let values = if style.copies(texts) {
            Values::Text { offsets: texts.value_offsets(), bytes: texts.values() }
        } else {
            Values::Rows(text_rows(around, style, texts.iter()))
        };
        return Some(Cell::new(around, texts.nulls(), values));
    }
    let dictionary = column.as_dictionary_opt::<Int32Type>()?;
    let texts = dictionary.values().as_string_opt::<i32>()?;
    Some(Cell::new(around, dictionary.nulls(), dictionary_values(around, style, dictionary, texts)))
}

fn dictionary_values<'a>(
    around: &Around,
    style: TextStyle,
    dictionary: &'a DictionaryArray<Int32Type>,
    texts: &'a StringArray,
) -> Values<'a> {
    let keys: &[i32] = dictionary.keys().values();
    // A dictionary of a whole row group may have more values than this batch has rows.
    if texts.len() <= keys.len() / 2 {
        let rendered = text_rows(around, style, texts.iter().chain([None]));
        let longest = rendered.longest();
        return Values::Keyed { keys: Cow::Borrowed(keys), texts: rendered, longest };
    }
    if texts.null_count() == 0 && style.copies(texts) {
        let offsets = texts.value_offsets();
        let longest = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
        return Values::KeyedText { keys, offsets, bytes: texts.values(), longest };
    }
    let text_of = |key: usize| texts.is_valid(key).then(|| texts.value(key));
    Values::Rows(text_rows(around, style, dictionary.keys_iter().map(|key| key.and_then(text_of))))
}

fn text_rows<'t>(
    around: &Around,
    style: TextStyle,
    texts: impl Iterator<Item = Option<&'t str>>,
) -> Rendered {
    let mut rendered = Rendered::with_capacity(texts.size_hint().0);
    for text in texts {
        rendered.push(|out| match text {
            Some(text) => around.push(out, |out| style.push(out, text)),
            None => around.push_absent(out),
        });
    }
    rendered.finish()
}

fn rows<V>(
    around: &Around,
    values: impl Iterator<Item = Option<V>>,
    write: impl Fn(&mut Vec<u8>, V) -> Result<(), Fault>,
) -> Result<Rendered, Fault> {
    let mut rendered = Rendered::with_capacity(values.size_hint().0);
    for value in values {
        let mut result = Ok(());
        rendered.push(|out| match value {
            Some(value) => around.push(out, |out| result = write(out, value)),
            None => around.push_absent(out),
        });
        result?;
    }
    Ok(rendered.finish())
}

fn boolean<'a>(around: &Around, array: &BooleanArray) -> Values<'a> {
    let keys = array.values().iter().map(i32::from).collect();
    let texts = text_rows(around, TextStyle::JsonText, [Some("false"), Some("true"), None].into_iter());
    let longest = texts.longest();
    Values::Keyed { keys: Cow::Owned(keys), texts, longest }
}
