//! Bodies with records: which form they have, and what happens to their bad rows.

use crate::openapi::reference;
use crate::query::Parameters;
use serde_json::{Map, Value, json};
use tollbook_app::ingest::OnError;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::dataset::Dataset;
use tollbook_model::format::RecordForm;
use tollbook_model::schema::Schema;

/// Name of the parameter that says what happens to bad rows.
pub(crate) const ON_ERROR: &str = "on_error";

/// Reads `on_error`; what is wrong with it is noted in the parameters.
pub(crate) fn on_error(given: &mut Parameters) -> OnError {
    match given.single(ON_ERROR).as_deref() {
        None | Some("reject") => OnError::Reject,
        Some("skip") => OnError::Skip,
        Some(_) => {
            given.invalid(ON_ERROR, "must be reject or skip");
            OnError::Reject
        }
    }
}

/// The form of a native body: as its type says, else as its first character does. An empty one is of any form.
///
/// # Errors
/// `unsupported_media` when neither tells.
pub(crate) fn record_form(content_type: Option<&str>, body: &[u8]) -> Result<RecordForm, Fault> {
    let media_type =
        content_type.and_then(|value| value.split(';').next()).unwrap_or("").trim().to_ascii_lowercase();
    let first =
        body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).iter().find(|byte| !byte.is_ascii_whitespace());
    match (media_type.as_str(), first) {
        ("application/x-ndjson" | "application/ndjson" | "application/jsonl", _) => Ok(RecordForm::Ndjson),
        ("text/csv", _) => Ok(RecordForm::Csv),
        (_, Some(b'[')) => Ok(RecordForm::JsonArray),
        (_, Some(b'{') | None) | ("application/json", _) => Ok(RecordForm::Ndjson),
        _ => Err(Fault::new(
            Code::UnsupportedMedia,
            "the form of the body is not clear; send Content-Type application/x-ndjson, application/json or text/csv",
        )),
    }
}

/// What documents say of a native body, by media type.
pub(crate) fn content() -> Value {
    let line =
        r#"{"pbx_alias":"lyon","start_at":"2026-01-05T09:00:00Z","duration_s":61,"direction":"inbound"}"#;
    let lines = json!({"schema": {"type": "string"}, "example": format!("{line}\n")});
    let record = reference(SENT_RECORD);
    json!({
        "application/json": {"schema": {"anyOf": [{"type": "array", "items": record}, record]}},
        "application/x-ndjson": lines, "application/ndjson": lines, "application/jsonl": lines,
        "text/csv": {
            "schema": {"type": "string"},
            "example": "pbx_alias,start_at,duration_s,direction\nlyon,2026-01-05T09:00:00Z,61,inbound\n",
        },
    })
}

/// Name of the schema of a sent record.
pub(crate) const SENT_RECORD: &str = "SentRecord";

/// What documents say of a sent record. Its fields are those of exported records; any of them may be null, and others
/// go into `extra`.
pub(crate) fn sent_record() -> Value {
    let published = Schema::of(Dataset::Cdr).json_schema("");
    let mut properties = Map::new();
    for name in REQUIRED {
        properties.insert(name.into(), published["properties"][name].clone());
    }
    properties["pbx_alias"]["minLength"] = 1.into();
    for name in OPTIONAL {
        // What is null is absent.
        properties.insert(name.into(), json!({"anyOf": [published["properties"][name], {"type": "null"}]}));
    }
    json!({
        "type": "object",
        "description": "A record to be taken in. Besides what is named here it may have every field of an exported \
            record; fields without a meaning go into `extra` as text.",
        "properties": properties,
        "required": REQUIRED,
    })
}

const REQUIRED: [&str; 4] = ["pbx_alias", "start_at", "duration_s", "direction"];
/// The most usual of the others.
const OPTIONAL: [&str; 4] = ["calling_party", "called_party", "result", "source_key"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_follow_the_type_then_the_first_character() {
        use RecordForm::{Csv, JsonArray, Ndjson};
        for (content_type, body, form) in [
            (Some("application/x-ndjson"), "[", Some(Ndjson)),
            (Some("Text/CSV; charset=utf-8"), "{", Some(Csv)),
            (Some("application/json"), " [{}]", Some(JsonArray)),
            (Some("application/json"), "{}\n{}", Some(Ndjson)),
            (Some("application/x-www-form-urlencoded"), "\u{feff}[", Some(JsonArray)),
            (None, "\n {", Some(Ndjson)),
            (None, "id,start_at\n", None),
            (None, "", Some(Ndjson)),
            (None, " \n", Some(Ndjson)),
            (Some("text/plain"), "", Some(Ndjson)),
        ] {
            assert_eq!(record_form(content_type, body.as_bytes()).ok(), form, "{content_type:?} {body}");
        }
    }
}
