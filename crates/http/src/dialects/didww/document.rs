//! Documents of requests (`didww.md` sections 4.4 and 5): the JSON:API around the attributes.
//!
//! What the attributes may hold is said elsewhere.

use super::errors::{self, Broken};
use super::schema::TYPE;
use crate::refusal::Refusal;
use serde_json::{Map, Value};

/// Attributes that are set when an export is made.
const OF_CREATE: [&str; 5] =
    ["export_type", "filters", "callback_url", "callback_method", "external_reference_id"];
/// Attributes that a change may name: the first is changed, the other is sent along by some clients and ignored.
const OF_CHANGE: [&str; 2] = ["external_reference_id", "filters"];

/// The attributes of an export to be made.
///
/// # Errors
/// 400, naming every rule that the document breaks.
pub(super) fn create(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let data = data(body)?;
    let mut broken = type_faults(&data);
    broken.extend(data.get("id").filter(|id| !id.is_null()).map(|_| Broken::param_not_allowed("id")));
    read(data, &OF_CREATE, broken)
}

/// The attributes of a change to the export of that id.
///
/// # Errors
/// 400, naming every rule that the document breaks.
pub(super) fn change(body: &[u8], id: &str) -> Result<Map<String, Value>, Refusal> {
    let data = data(body)?;
    let mut broken = type_faults(&data);
    match data.get("id") {
        None | Some(Value::Null) => broken.push(Broken::missing_parameter("data.id")),
        Some(Value::String(given)) if given == id => {}
        Some(given) => broken.push(Broken::key_not_in_url(&text(given))),
    }
    read(data, &OF_CHANGE, broken)
}

/// The member `data` of a document.
fn data(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let malformed = |detail: String| errors::refusal(&[Broken::syntax(detail)]);
    let document: Value = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let Value::Object(mut document) = document else {
        return Err(malformed("The document must be a JSON object.".to_owned()));
    };
    match document.remove("data") {
        Some(Value::Object(data)) => Ok(data),
        None | Some(Value::Null) => Err(errors::refusal(&[Broken::missing_parameter("data")])),
        Some(_) => Err(malformed("The member, data, must be a JSON object.".to_owned())),
    }
}

fn type_faults(data: &Map<String, Value>) -> Vec<Broken> {
    match data.get("type") {
        None | Some(Value::Null) => vec![Broken::missing_parameter("data.type")],
        Some(Value::String(kind)) if kind == TYPE => Vec::new(),
        Some(kind) => vec![Broken::invalid_resource(&text(kind))],
    }
}

/// The attributes, if no rule is broken and all of them are known.
fn read(
    mut data: Map<String, Value>,
    known: &[&str],
    mut broken: Vec<Broken>,
) -> Result<Map<String, Value>, Refusal> {
    let attributes = match data.remove("attributes") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(attributes)) => attributes,
        // An empty map in the hands of PHP.
        Some(Value::Array(list)) if list.is_empty() => Map::new(),
        Some(_) => {
            broken.push(Broken::syntax("The member, attributes, must be a JSON object."));
            Map::new()
        }
    };
    let unknown = attributes.keys().filter(|name| !known.contains(&name.as_str()));
    broken.extend(unknown.map(|name| Broken::param_not_allowed(name)));
    match data.get("relationships") {
        None | Some(Value::Null) => {}
        Some(Value::Object(related)) => {
            broken.extend(related.keys().map(|name| Broken::param_not_allowed(name)));
        }
        Some(Value::Array(list)) if list.is_empty() => {}
        Some(_) => broken.push(Broken::param_not_allowed("relationships")),
    }
    errors::all_right(&broken)?;
    Ok(attributes)
}

/// A value as it is told: a text without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";

    /// Codes and details of what is wrong.
    fn wrong(read: Result<Map<String, Value>, Refusal>) -> Vec<(String, String)> {
        let Err(refusal) = read else { return Vec::new() };
        let document: Value = serde_json::from_str(&refusal.words().unwrap().document).unwrap();
        let entries = document["errors"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries.map(|entry| (text(&entry["code"]), text(&entry["detail"]))).collect()
    }

    fn one(code: &str, detail: &str) -> Vec<(String, String)> {
        vec![(code.to_owned(), detail.to_owned())]
    }

    #[test]
    fn documents_are_objects_with_data_of_our_type() {
        let missing = |name: &str| one("106", &format!("The required parameter, {name}, is missing."));
        for (body, wanted) in [
            (r#"{"data":{"type":"exports"}}"#, Vec::new()),
            (r#"{"data":{"type":"exports","attributes":null,"relationships":{}}}"#, Vec::new()),
            (r#"{"data":{"type":"exports","id":null,"relationships":null},"jsonapi":{}}"#, Vec::new()),
            ("[]", one("400", "The document must be a JSON object.")),
            ("{}", missing("data")),
            (r#"{"data":null}"#, missing("data")),
            (r#"{"data":[]}"#, one("400", "The member, data, must be a JSON object.")),
            (r#"{"data":{}}"#, missing("data.type")),
            (r#"{"data":{"type":"cdr_exports"}}"#, one("101", "cdr_exports is not a valid resource.")),
            (r#"{"data":{"type":"Exports"}}"#, one("101", "Exports is not a valid resource.")),
            (r#"{"data":{"type":5}}"#, one("101", "5 is not a valid resource.")),
            (r#"{"data":{"type":"exports","id":"x"}}"#, one("105", "id is not allowed.")),
            (r#"{"data":{"type":"exports","attributes":{"foo":1}}}"#, one("105", "foo is not allowed.")),
            (r#"{"data":{"type":"exports","attributes":{"url":null}}}"#, one("105", "url is not allowed.")),
            (r#"{"data":{"type":"exports","relationships":{"did":{}}}}"#, one("105", "did is not allowed.")),
        ] {
            assert_eq!(wrong(create(body.as_bytes())), wanted, "{body}");
        }
        for body in ["", "{", "{\"data\":", "nonsense"] {
            let told = wrong(create(body.as_bytes()));
            assert!(told.len() == 1 && told[0].0 == "400" && told[0].1.contains("line 1"), "{told:?}");
        }
        let several =
            br#"{"data":{"type":"x","id":"y","attributes":{"status":"completed","created_at":"z"}}}"#;
        assert_eq!(wrong(create(several)).len(), 4, "all faults of the stage");
        let deep = format!("{{\"data\":{}", "[".repeat(10_000));
        assert_eq!(wrong(create(deep.as_bytes())).len(), 1);
    }

    #[test]
    fn a_change_names_the_export_of_its_path() {
        let body = |id: Value, attributes: Value| {
            json!({"data": {"type": "exports", "id": id, "attributes": attributes}}).to_string()
        };
        let change = |body: String| wrong(change(body.as_bytes(), ID));
        assert_eq!(change(body(json!(ID), json!({}))), []);
        assert_eq!(change(body(json!(ID), json!([]))), []);
        assert_eq!(change(body(json!(ID), json!({"external_reference_id": "a", "filters": []}))), []);
        let missing = one("106", "The required parameter, data.id, is missing.");
        assert_eq!(change(body(Value::Null, json!({}))), missing);
        let other = one("110", "The URL does not support the key other");
        assert_eq!(change(body(json!("other"), json!({}))), other);
        for name in ["export_type", "callback_url", "status", "foo"] {
            let wanted = one("105", &format!("{name} is not allowed."));
            assert_eq!(change(body(json!(ID), json!({ name: "x" }))), wanted);
        }
    }
}
