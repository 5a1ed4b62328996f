//! The description of one operation, written beside its handler. What follows from the order of checks (which refusals
//! there can be) is not written but worked out here.

use super::schemas::derived;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tollbook_model::access::{Action, Role, permitted};
use tollbook_model::dataset::Dataset;
use utoipa::ToSchema;

/// Who may call an operation.
#[derive(Debug, Clone, PartialEq)]
enum Access {
    /// Everybody.
    Public,
    /// Who has a right to this.
    Right(Action),
    /// Who has a right to export the dataset that the path names, or of the export that it names.
    ExportOfNamed,
}

/// What an operation takes and answers.
#[derive(Debug)]
pub(crate) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    access: Access,
    takes_basic: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    refusals: BTreeSet<u16>,
    schemas: Vec<(String, Value)>,
}

impl Operation {
    fn new(
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
        access: Access,
        refusals: &[u16],
    ) -> Self {
        Self {
            id,
            tag,
            summary,
            description: None,
            access,
            takes_basic: false,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            refusals: refusals.iter().copied().collect(),
            schemas: Vec::new(),
        }
    }

    /// An operation without credential.
    pub(crate) fn public(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(tag, id, summary, Access::Public, &[429, 500])
    }

    /// An operation by a signed link, which needs no credential. It is logged, so it can meet a full disk.
    pub(crate) fn by_link(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(tag, id, summary, Access::Public, &[403, 500, 503, 507])
    }

    /// An operation that needs this right. A refusal is logged, so also reading can meet a full disk.
    pub(crate) fn needs(action: Action, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let access = Access::Right(action);
        Self::new(tag, id, summary, access, &[400, 401, 403, 429, 500, 503, 507])
    }

    /// An operation that needs the right to export the dataset in its path, or that of the export in its path.
    pub(crate) fn needs_export(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let access = Access::ExportOfNamed;
        Self::new(tag, id, summary, access, &[400, 401, 403, 429, 500, 503, 507])
    }

    /// More words.
    #[must_use]
    pub(crate) fn saying(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// The token may also be the password of `Basic`.
    #[must_use]
    pub(crate) fn or_basic(mut self) -> Self {
        self.takes_basic = true;
        self
    }

    /// A parameter. What is named in the path may not be there.
    #[must_use]
    pub(crate) fn with(mut self, parameter: Value) -> Self {
        if parameter["in"] == "path" {
            self.refusals.insert(404);
        }
        self.parameters.push(parameter);
        self
    }

    /// Several parameters.
    #[must_use]
    pub(crate) fn with_all(self, parameters: impl IntoIterator<Item = Value>) -> Self {
        parameters.into_iter().fold(self, Self::with)
    }

    /// A body, by media type. It can be too large, of another type, or not what was asked for.
    #[must_use]
    pub(crate) fn takes(mut self, description: &str, content: Value) -> Self {
        self.body = Some(json!({"description": description, "required": true, "content": content}));
        self.refusals.extend([400, 413, 415]);
        self
    }

    /// The same, but there may be none.
    #[must_use]
    pub(crate) fn may_take(self, description: &str, content: Value) -> Self {
        let mut operation = self.takes(description, content);
        if let Some(body) = &mut operation.body {
            body["required"] = false.into();
        }
        operation
    }

    /// A native JSON body with the schema of this name, which is `schema`, such as `example`.
    #[must_use]
    pub(crate) fn takes_json(mut self, name: &'static str, schema: Value, example: &Value) -> Self {
        let schema_ref = reference(name);
        // The body is JSON whatever it is called, so under the other names it is a text that holds JSON.
        let text = json!({
            "schema": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema_ref},
            "example": example.to_string(),
        });
        let content = json!({
            "application/json": {"schema": schema_ref, "example": example},
            "text/plain": text,
            "application/x-www-form-urlencoded": text,
        });
        self.schemas.push((name.to_owned(), schema));
        self.takes("A JSON object of at most 64 KiB, under whichever of these media types, or none.", content)
    }

    /// Refusals besides those that follow from rights, parameters and body.
    #[must_use]
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// An answer, as OpenAPI writes it.
    #[must_use]
    pub(crate) fn answers(mut self, status: u16, response: Value) -> Self {
        self.answers.insert(status, response);
        self
    }

    /// An answer in JSON of that type.
    #[must_use]
    pub(crate) fn answers_json<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let content = json!({"application/json": {"schema": self.schema_of::<T>()}});
        self.answers(status, json!({"description": description, "content": content}))
    }

    /// A list of that type, which fits into one answer.
    #[must_use]
    pub(crate) fn answers_list<T: ToSchema>(mut self, description: &str) -> Self {
        let items = json!({"type": "array", "items": self.schema_of::<T>()});
        let list = json!({"type": "object", "properties": {"items": items}, "required": ["items"]});
        let content = json!({"application/json": {"schema": list}});
        self.answers(200, json!({"description": description, "content": content}))
    }

    /// Success, and nothing to say of it.
    #[must_use]
    pub(crate) fn answers_nothing(self, description: &str) -> Self {
        self.answers(204, json!({"description": description}))
    }

    /// Headers of an answer that was described before.
    #[must_use]
    pub(crate) fn with_headers(
        mut self,
        status: u16,
        headers: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        if let Some(response) = self.answers.get_mut(&status) {
            for (name, header) in headers {
                response["headers"][name] = header;
            }
        }
        self
    }

    fn schema_of<T: ToSchema>(&mut self) -> Value {
        self.schemas.extend(derived::<T>());
        reference(&T::name())
    }

    /// Does it need a credential?
    pub(crate) fn is_secured(&self) -> bool {
        self.access != Access::Public
    }

    /// Its parameters.
    pub(crate) fn parameters_mut(&mut self) -> &mut [Value] {
        &mut self.parameters
    }

    /// Statuses of its refusals.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = u16> {
        self.refusals.iter().copied()
    }

    /// Schemas that it refers to, by name.
    pub(crate) fn take_schemas(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.schemas)
    }

    /// As OpenAPI writes it. Refusals refer to responses named `{voice}-{status}`, answers to a credential have
    /// `counted` headers.
    pub(crate) fn write(self, voice: &str, counted: &Map<String, Value>) -> Value {
        let mut written = Map::new();
        written.insert("tags".into(), json!([self.tag]));
        written.insert("summary".into(), self.summary.into());
        if let Some(description) = self.description {
            written.insert("description".into(), description.into());
        }
        written.insert("operationId".into(), self.id.into());
        if !self.parameters.is_empty() {
            written.insert("parameters".into(), self.parameters.into());
        }
        if let Some(body) = self.body {
            written.insert("requestBody".into(), body);
        }
        let mut responses = Map::new();
        for (status, mut response) in self.answers {
            let headers =
                response.as_object_mut().map(|response| response.entry("headers").or_insert(json!({})));
            if let Some(Value::Object(headers)) = headers {
                headers.insert("X-Request-Id".into(), json!({"$ref": "#/components/headers/X-Request-Id"}));
                if self.access != Access::Public {
                    headers.extend(counted.clone());
                }
            }
            responses.insert(status.to_string(), response);
        }
        for status in self.refusals {
            let name = format!("#/components/responses/{voice}-{status}");
            responses.insert(status.to_string(), json!({"$ref": name}));
        }
        responses.sort_keys();
        written.insert("responses".into(), responses.into());
        written.insert("security".into(), security(&self.access, self.takes_basic));
        written.extend(rights(&self.access));
        written.into()
    }
}

/// A reference to a schema.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn security(access: &Access, takes_basic: bool) -> Value {
    match (access, takes_basic) {
        (Access::Public, _) => json!([]),
        (_, false) => json!([{"bearer": []}]),
        (_, true) => json!([{"bearer": []}, {"basic": []}]),
    }
}

/// The row of the permission table that an operation asks for.
fn rights(access: &Access) -> Map<String, Value> {
    let (action, roles) = match *access {
        Access::Public => return Map::new(),
        Access::Right(action) => (action, roles(action)),
        Access::ExportOfNamed => {
            let by_dataset =
                Dataset::ALL.map(|dataset| (dataset.name().to_owned(), roles(Action::Export(dataset))));
            (Action::Export(Dataset::Cdr), Value::Object(by_dataset.into_iter().collect()))
        }
    };
    Map::from_iter([
        ("x-tollbook-action".to_owned(), json!([action.name()])),
        ("x-tollbook-roles".to_owned(), roles),
    ])
}

fn roles(action: Action) -> Value {
    Role::ALL.into_iter().filter(|&role| permitted(role, action)).map(Role::name).collect()
}
