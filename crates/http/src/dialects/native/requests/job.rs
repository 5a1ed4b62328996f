//! Orders of export jobs: the parameters of an export as members of a JSON object, and whom the job tells of its end
//! (`natalia.md` sections 6, 9 and 10). Everything that is wrong is found in one pass.
//!
//! Whether addresses may be called, and people be told, is the use case's business.

use super::export::{is_known, query};
use crate::dialect::Dialect;
use crate::openapi::parameters;
use crate::openapi::schemas::{PRINTABLE, meaning, object, text};
use crate::query::Parameters;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tollbook_app::jobs::{Idempotency, NewJob};
use tollbook_kit::fault::{Detail, Fault};
use tollbook_model::canonical;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::ExportQuery;
use tollbook_model::export_job::{FileKeeping, JobContacts, JobOrder, MOST_RECIPIENTS, REFERENCE_CHARACTERS};

/// Marks repetitions of one request.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// As faults and documents write it.
pub(crate) const IDEMPOTENCY_KEY_NAME: &str = "Idempotency-Key";
/// Longest idempotency key.
pub(crate) const IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Who orders.
pub(crate) const DIALECT: &str = Dialect::Native.name();
const OF_JOBS: [&str; 3] = ["callback_url", "notify_email", "external_reference"];

/// An order as it was read, with what is wrong with it.
#[derive(Debug)]
pub(crate) struct Draft {
    given: Parameters,
    /// None when something is wrong with it.
    query: Option<ExportQuery>,
    /// Whom the job is to tell, as far as that could be read.
    pub(crate) contacts: JobContacts,
    /// The caller's own name for the job.
    pub(crate) external_reference: Option<String>,
    key: Option<String>,
}

impl Draft {
    /// Reads an order for an export of `dataset`; `now_ms` is where a range without `to` ends.
    pub(crate) fn read(
        dataset: Dataset,
        headers: &HeaderMap,
        body: &Map<String, Value>,
        now_ms: i64,
    ) -> Self {
        let mut given = parameters(body);
        given.refuse_unknown(|name| is_known(name, dataset) || OF_JOBS.contains(&name));
        let query = query(&mut given, dataset, now_ms);
        let contacts = JobContacts {
            callback_url: given.single("callback_url"),
            notify_email: given.repeated("notify_email"),
        };
        let external_reference = given.single("external_reference");
        let key = idempotency_key(&mut given, headers);
        Self { given, query, contacts, external_reference, key }
    }

    /// Is anything wrong with it? Then it is the time to find out what else is: a good order is judged when it is taken,
    /// as it may be a repetition, which is answered whatever has become of its contacts.
    pub(crate) fn is_wrong(&self) -> bool {
        self.given.is_wrong()
    }

    /// The order of `body`, posted to `path`; `more` is what the use case finds wrong with contacts and name.
    ///
    /// # Errors
    /// `invalid`, with every fault.
    pub(crate) fn finish(
        mut self,
        path: String,
        body: &Map<String, Value>,
        more: impl IntoIterator<Item = Detail>,
    ) -> Result<NewJob, Fault> {
        self.given.extend(more);
        let written = |name| {
            let found = self.given.pairs().iter().find(|(given, _)| given == name);
            found.map(|(_, text)| text.clone())
        };
        let (from, to) = (written("from"), written("to"));
        self.given.finish()?;
        // Everything that could be absent, and every number, was a fault above.
        let query = self.query.ok_or_else(|| Fault::internal("an order passed without a range or a zone"))?;
        let value =
            canonical::object(body).ok_or_else(|| Fault::internal("an order passed with a number"))?;
        let request: [u8; 32] = Sha256::digest(value.as_bytes()).into();
        Ok(NewJob {
            order: JobOrder { query, from, to },
            dialect: DIALECT,
            external_reference: self.external_reference,
            contacts: self.contacts,
            keeping: FileKeeping::TenantSetting,
            dialect_note: None,
            callback_key: None,
            idempotency: self.key.map(|key| Idempotency { path, key, request }),
        })
    }
}

/// The members of an object as a query would write them.
fn parameters(body: &Map<String, Value>) -> Parameters {
    let mut given = Parameters::default();
    for (name, value) in body {
        let texts = match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Bool(is_on) if name == "formula_guard" => Some(vec![u8::from(*is_on).to_string()]),
            Value::Array(items) => texts(name, items),
            _ => None,
        };
        match texts {
            Some(texts) => texts.into_iter().for_each(|text| given.push(name.clone(), text)),
            None => {
                given.push_unreadable(name.clone(), "must be a text, or a list of texts that is not empty")
            }
        }
    }
    given
}

/// A list of texts; that of columns is written as one, with commas.
fn texts(name: &str, items: &[Value]) -> Option<Vec<String>> {
    let texts: Vec<String> =
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    match name {
        _ if texts.is_empty() => None,
        "columns" if texts.iter().any(|text| text.contains(',')) => None,
        "columns" => Some(vec![texts.join(",")]),
        _ => Some(texts),
    }
}

fn idempotency_key(given: &mut Parameters, headers: &HeaderMap) -> Option<String> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = keys.next()?;
    let key = key.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
    if key.is_none() || keys.next().is_some() {
        given.invalid(IDEMPOTENCY_KEY_NAME, "must be given once, 1 to 255 printable ASCII characters");
        return None;
    }
    key.map(str::to_owned)
}

/// What documents say of an order.
pub(crate) fn new_job_schema() -> Value {
    let mut members = Map::new();
    for parameter in parameters::export() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let schema = of_member(name, &parameter["schema"]);
        members
            .insert(name.to_owned(), meaning(schema, parameter["description"].as_str().unwrap_or_default()));
    }
    let address = json!({"type": "string", "minLength": 1});
    let addresses = json!({"type": "array", "minItems": 1, "maxItems": MOST_RECIPIENTS, "items": address});
    members.extend([
        (
            "callback_url".to_owned(),
            meaning(
                json!({"type": "string", "format": "uri"}),
                "Address that is called (`POST`) when the job is ready, has failed, or is cancelled.",
            ),
        ),
        (
            "notify_email".to_owned(),
            meaning(
                json!({"anyOf": [address, addresses]}),
                "Who gets mail when the job has ended: users of the tenant, or in a domain that the operator allows.",
            ),
        ),
        (
            "external_reference".to_owned(),
            meaning(text(1..=REFERENCE_CHARACTERS, PRINTABLE), "A name of your own, which comes back with the job."),
        ),
    ]);
    object(members.into(), &[])
}

/// What a member may be that a query could hold too: a text, or a list of texts.
fn of_member(name: &str, in_query: &Value) -> Value {
    match (name, &in_query["type"]) {
        ("formula_guard", _) => json!({"anyOf": [in_query, {"type": "boolean"}]}),
        ("columns", _) => json!({"anyOf": [{"type": "string", "minLength": 1}, in_query]}),
        (_, kind) if kind == "array" => {
            let mut list = in_query.clone();
            list["minItems"] = 1.into();
            json!({"anyOf": [in_query["items"], list]})
        }
        _ => in_query.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use tollbook_kit::fault::InvalidKind;
    use tollbook_model::selection::FilterField;
    use tollbook_model::time_range::parse_instant;

    fn read(body: &Value, keys: &[&str]) -> Result<NewJob, Fault> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
        }
        let now_ms = parse_instant("2026-06-01T00:00:00Z").unwrap();
        let body = body.as_object().unwrap();
        Draft::read(Dataset::Cdr, &headers, body, now_ms).finish("/orders".into(), body, [])
    }

    fn wrong(body: Value) -> Vec<String> {
        let fault = read(&body, &[]).expect_err("a fault");
        fault.details().iter().map(|detail| detail.name.clone()).collect()
    }

    #[test]
    fn an_order_is_read_whole() {
        let body = json!({
            "from": "2026-01-05", "to": ["2026-01-06"], "format": "csv", "direction": ["inbound", "internal"],
            "trunk": "a", "columns": ["result", "id"], "formula_guard": true, "callback_url": "https://example.net/x",
            "notify_email": ["a@example.net", "b@example.net"], "external_reference": "of mine",
        });
        let NewJob { order, dialect, external_reference, contacts, keeping, idempotency, .. } =
            read(&body, &["a key"]).unwrap();
        assert_eq!((order.from.as_deref(), order.to.as_deref()), (Some("2026-01-05"), Some("2026-01-06")));
        let filters: Vec<_> =
            order.query.selection.filters.iter().map(|f| (f.field, f.values.join("|"))).collect();
        let wanted =
            [(FilterField::Direction, "inbound|internal".to_owned()), (FilterField::Trunk, "a".to_owned())];
        assert_eq!(filters, wanted);
        assert_eq!((order.query.selection.columns, order.query.columns_named), (vec![9, 0], true));
        assert!(order.query.formula_guard);
        assert_eq!((dialect, external_reference.as_deref()), ("native", Some("of mine")));
        assert_eq!(contacts.callback_url.as_deref(), Some("https://example.net/x"));
        assert_eq!(contacts.notify_email, ["a@example.net", "b@example.net"]);
        assert_eq!(keeping, FileKeeping::TenantSetting);
        let idempotency = idempotency.unwrap();
        assert_eq!((idempotency.path.as_str(), idempotency.key.as_str()), ("/orders", "a key"));

        let least = read(&json!({"from": "2026-01-05", "notify_email": "a@example.net"}), &[]).unwrap();
        assert_eq!((least.order.to, least.contacts.callback_url), (None, None));
        assert_eq!(least.contacts.notify_email, ["a@example.net"]);
        assert!(least.idempotency.is_none() && !least.order.query.columns_named);
        let off =
            read(&json!({"from": "2026-01-05", "formula_guard": false, "format": "json"}), &[]).unwrap();
        assert!(!off.order.query.formula_guard);
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        for (body, names) in [
            (json!({}), vec!["from"]),
            (json!({"from": 5}), vec!["from"]),
            (json!({"from": null}), vec!["from"]),
            (json!({"from": ""}), vec!["from"]),
            (json!({"from": ["2026-01-01", "2026-01-02"]}), vec!["from"]),
            (json!({"from": "2026-01-01", "direction": []}), vec!["direction"]),
            (json!({"from": "2026-01-01", "direction": ["inbound", 1]}), vec!["direction"]),
            (json!({"from": "2026-01-01", "columns": []}), vec!["columns"]),
            (json!({"from": "2026-01-01", "columns": ["id,result"]}), vec!["columns"]),
            (json!({"from": "2026-01-01", "columns": [""]}), vec!["columns"]),
            (json!({"from": "2026-01-01", "tz": true}), vec!["tz"]),
            (json!({"from": "2026-01-01", "formula_guard": 1}), vec!["formula_guard"]),
            (json!({"from": "2026-01-01", "external_reference": ["a", "b"]}), vec!["external_reference"]),
            (json!({"from": "2026-01-01", "callback_url": {}}), vec!["callback_url"]),
            (json!({"form": "2026-01-01", "x": 5}), vec!["form", "x", "from"]),
        ] {
            assert_eq!(wrong(body.clone()), names, "{body}");
        }
        let fault = read(&json!({"from": "2026-01-01", "x": 5}), &[]).err().unwrap();
        assert_eq!(fault.details()[0].kind, InvalidKind::UnknownParameter);
    }

    #[test]
    fn the_same_value_is_the_same_request_however_it_is_written() {
        let request = |text: &str| {
            let body: Value = serde_json::from_str(text).unwrap();
            read(&body, &["k"]).unwrap().idempotency.unwrap().request
        };
        let first = request("{\"from\":\"2026-01-05\",\"trunk\":[\"a\",\"b\"]}");
        assert_eq!(request("{ \"trunk\": [\"a\", \"b\"],\n\"from\": \"2026-01-\\u0030\\u0035\" }"), first);
        assert_ne!(request("{\"from\":\"2026-01-05\",\"trunk\":[\"b\",\"a\"]}"), first);
        assert_ne!(request("{\"from\":\"2026-01-05\",\"trunk\":[\"a\",\"b\"],\"format\":\"csv\"}"), first);
    }

    #[test]
    fn keys_are_bounded_and_given_once() {
        let body = json!({"from": "2026-01-05"});
        let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
        for (keys, is_good) in [
            (&["k"][..], true),
            (&[longest.as_str()], true),
            (&["a b~!"], true),
            (&[""], false),
            (&[too_long.as_str()], false),
            (&["é"], false),
            (&["k", "k"], false),
        ] {
            assert_eq!(read(&body, keys).is_ok(), is_good, "{keys:?}");
        }
    }
}
