//! The OpenAPI documents: that they are the checked-in ones, say what every operation must say, and say of every path
//! what the router does.
//!
//! After a change of the API, rewrite the checked-in files with `UPDATE_OPENAPI=1 cargo test -p tollbook-http openapi`.

use crate::connection::Answer;
use crate::fakes::TOKEN_PREFIX;
use crate::{Service, send};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use tollbook_model::access::{Action, Role, permitted};

const DOCUMENTS: [(&str, &str); 2] =
    [("/api/v1/openapi.json", "native.json"), ("/exports-api/v1/openapi.json", "omilia.json")];
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// An operation as its document shows it.
struct Operation {
    path: String,
    method: String,
    described: Value,
}

impl Operation {
    /// Its path with the examples of its parameters.
    fn place(&self) -> String {
        let mut place = self.path.clone();
        for parameter in self.described["parameters"].as_array().into_iter().flatten() {
            let name = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
            if parameter["in"] == "path" {
                place = place.replace(&name, parameter["example"].as_str().expect("an example"));
            }
        }
        assert!(!place.contains('{'), "{place}: a parameter is not described");
        place
    }

    /// The first body that is described, with its media type.
    fn body(&self) -> (String, Vec<u8>) {
        let Some((media_type, content)) =
            self.described["requestBody"]["content"].as_object().and_then(|content| content.iter().next())
        else {
            return ("application/json".into(), Vec::new());
        };
        let text = match &content["example"] {
            Value::Null => String::new(),
            Value::Object(members) if media_type.ends_with("urlencoded") => {
                let pairs = members.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
                pairs.collect::<Vec<_>>().join("&").replace(' ', "+")
            }
            example => example.to_string(),
        };
        (media_type.clone(), text.into_bytes())
    }

    fn is_secured(&self) -> bool {
        self.described["security"].as_array().is_some_and(|schemes| !schemes.is_empty())
    }
}

async fn document(service: &Service, place: &str) -> Value {
    service.with(&format!("GET {place}"), "X: y", b"").await.json()
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(|(method, described)| {
                let mut described = described.clone();
                for parameter in described["parameters"].as_array_mut().into_iter().flatten() {
                    *parameter = resolved(document, parameter).clone();
                }
                Operation { path: path.clone(), method: method.clone(), described }
            })
        })
        .collect()
}

/// A value of a document, or what it refers to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(place) => {
            document.pointer(place.trim_start_matches('#')).expect("a reference that leads somewhere")
        }
        None => value,
    }
}

#[tokio::test]
async fn the_checked_in_documents_are_the_served_ones() {
    let service = Service::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi");
    for (place, file) in DOCUMENTS {
        let answer = service.with(&format!("GET {place}"), "X: y", b"").await;
        assert_eq!(
            (answer.status, answer.header("content-type").as_deref()),
            (200, Some("application/json"))
        );
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=300"));
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("*"));
        let known = format!("If-None-Match: {}", answer.header("etag").unwrap());
        assert_eq!(service.with(&format!("GET {place}"), &known, b"").await.status, 304);
        let file = folder.join(file);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &answer.body).unwrap();
        }
        let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
        let advice = "is not what is served; UPDATE_OPENAPI=1 rewrites it";
        assert!(checked_in == answer.text(), "{} {advice}", file.display());
    }
}

#[tokio::test]
async fn every_operation_says_what_it_must() {
    let service = Service::start().await;
    let mut ids = BTreeSet::new();
    for (place, _) in DOCUMENTS {
        let document = document(&service, place).await;
        assert_eq!(document["openapi"], "3.1.0");
        let tags: BTreeSet<&str> =
            document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
        for operation in operations(&document) {
            let (described, path) = (&operation.described, &operation.path);
            let id = described["operationId"].as_str().expect("an id");
            assert!(ids.insert(format!("{place} {id}")), "{id} is there twice");
            assert!(described["summary"].is_string(), "{id}");
            assert!(tags.contains(described["tags"][0].as_str().expect("a tag")), "{id}");
            let responses = described["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{id}");
            for (status, response) in responses {
                let response = resolved(&document, response);
                assert!(response["description"].is_string(), "{id} {status}");
                assert!(response["headers"]["X-Request-Id"].is_object(), "{id} {status}");
            }
            let has_right =
                described["x-tollbook-action"].is_array() && !described["x-tollbook-roles"].is_null();
            assert_eq!(operation.is_secured(), has_right, "{id}");
            assert!(described["security"].is_array(), "{id} {path}");
            if operation.is_secured() {
                roles_are_the_tables(described);
            }
        }
        references_lead_somewhere(&document, &document);
    }
}

fn roles_are_the_tables(described: &Value) {
    let name = described["x-tollbook-action"][0].as_str().unwrap();
    let of = |action| -> Value {
        Role::ALL.into_iter().filter(|&role| permitted(role, action)).map(Role::name).collect()
    };
    let mut actions = Action::all().into_iter().filter(|action| action.name() == name).peekable();
    assert!(actions.peek().is_some(), "{name} is no action");
    match &described["x-tollbook-roles"] {
        Value::Object(by_dataset) => {
            let wanted: Map<String, Value> =
                actions.map(|action| (action.object().expect("a dataset").id, of(action))).collect();
            assert_eq!(by_dataset, &wanted);
        }
        roles => assert!(actions.any(|action| of(action) == *roles), "{name}: {roles}"),
    }
}

fn references_lead_somewhere(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            resolved(document, value);
            members.values().for_each(|member| references_lead_somewhere(document, member));
        }
        Value::Array(items) => items.iter().for_each(|item| references_lead_somewhere(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn the_router_takes_the_described_methods_and_no_others() {
    let service = Service::start().await;
    for (place, _) in DOCUMENTS {
        let operations = operations(&document(&service, place).await);
        for operation in &operations {
            let here = operations.iter().filter(|other| other.path == operation.path);
            let mut described: BTreeSet<String> = here.map(|other| other.method.to_uppercase()).collect();
            if described.contains("GET") {
                described.insert("HEAD".into());
            }
            for method in METHODS.map(str::to_uppercase) {
                let line = format!("{method} {}", operation.place());
                let answer = service.with(&line, "X: y", b"").await;
                if described.contains(&method) {
                    assert_ne!(answer.status, 405, "{line} is described");
                } else {
                    assert_eq!(answer.status, 405, "{line} is not described");
                    let allow = answer.header("allow").expect("Allow");
                    let allowed: BTreeSet<String> =
                        allow.split(',').map(|method| method.trim().into()).collect();
                    assert_eq!(allowed, described, "{line}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_examples_are_answered_as_described() {
    let service = Service::start().await;
    for (place, _) in DOCUMENTS {
        let document = document(&service, place).await;
        for operation in operations(&document) {
            for role in ["none", "viewer", "operator"] {
                let line = format!("{} {}", operation.method.to_uppercase(), operation.place());
                let (media_type, body) = operation.body();
                let head = format!(
                    "{line} HTTP/1.1\r\nAuthorization: Bearer {TOKEN_PREFIX}{role}\r\nContent-Type: {media_type}"
                );
                let answer = send(service.address, &head, &body).await;
                is_described(&document, &operation, &answer, &format!("{line} as {role}"));
                let id = operation.described["operationId"].as_str().unwrap();
                if role == "operator"
                    && media_type == "application/json"
                    && (id.starts_with("create") || id.starts_with("order"))
                {
                    assert!(
                        matches!(answer.status, 201 | 202 | 409) || line.contains("acme_bank"),
                        "{line}: {answer:?}"
                    );
                }
                assert!(
                    role == "operator" || answer.status >= 400 || !operation.is_secured(),
                    "{line} as {role}"
                );
            }
        }
    }
}

/// Are status, media type and headers of an answer among those described?
fn is_described(document: &Value, operation: &Operation, answer: &Answer, what: &str) {
    let response = &operation.described["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{what}: {answer:?}");
    let response = resolved(document, response);
    match answer.header("content-type") {
        Some(media_type) => {
            assert!(response["content"][&media_type].is_object(), "{what}: {media_type}");
        }
        None => assert!(response["content"].is_null(), "{what}: no media type"),
    }
    for (name, header) in response["headers"].as_object().unwrap() {
        let is_required = resolved(document, header)["required"] == true;
        assert!(!is_required || answer.header(name).is_some(), "{what}: {name}");
    }
}
