//! A document: the described operations of some routes, and everything that they refer to.

use super::operation::Operation;
use super::refusals;
use super::table::Described;
use super::{parameters, schemas};
use crate::dialect::Dialect;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tollbook_app::datasets::SchemaView;
use utoipa::ToSchema;

/// What a document says besides its operations.
pub(crate) struct Words {
    /// Its title.
    pub(crate) title: &'static str,
    /// Its introduction, in CommonMark.
    pub(crate) description: &'static str,
    /// Tags of operations: name and meaning.
    pub(crate) tags: &'static [(&'static str, &'static str)],
    /// The security schemes.
    pub(crate) security_schemes: Value,
}

/// A document in the making.
pub(crate) struct Document {
    words: Words,
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
    parameters: Map<String, Value>,
}

impl Document {
    /// A document of these operations.
    pub(crate) fn new(words: Words, described: impl IntoIterator<Item = Described>) -> Self {
        let mut document = Self {
            words,
            paths: Map::new(),
            schemas: Map::new(),
            responses: Map::new(),
            parameters: Map::new(),
        };
        for Described { path, method, operation } in described {
            document.add(&path, method, operation);
        }
        document
    }

    fn add(&mut self, path: &str, method: &str, mut operation: Operation) {
        let dialect = Dialect::of(path);
        self.schemas.extend(operation.take_schemas());
        for status in operation.refusals() {
            let response = || refusals::response(dialect, status);
            self.responses.entry(format!("{}-{status}", dialect.name())).or_insert_with(response);
        }
        if dialect == Dialect::Native && operation.is_secured() {
            operation = operation.with(parameters::named_tenant());
        }
        operation.parameters_mut().iter_mut().for_each(|parameter| self.share(parameter));
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation.write(dialect.name(), &refusals::counted());
    }

    /// Puts a parameter among those that operations share, unless another one has its name there.
    fn share(&mut self, parameter: &mut Value) {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let place = json!({"$ref": format!("#/components/parameters/{name}")});
        let shared = self.parameters.entry(name).or_insert_with(|| parameter.clone());
        if shared == parameter {
            *parameter = place;
        }
    }

    /// A schema that is derived from a type.
    #[must_use]
    pub(crate) fn with_schema<T: ToSchema>(mut self) -> Self {
        self.schemas.extend(schemas::derived::<T>());
        self
    }

    /// A schema of this name.
    #[must_use]
    pub(crate) fn with_named(mut self, name: &str, schema: Value) -> Self {
        self.schemas.insert(name.to_owned(), schema);
        self
    }

    /// The document as it is served. Its paths are relative to where it is, so it is the same everywhere.
    pub(crate) fn publish(self) -> SchemaView {
        let Words { title, description, tags, security_schemes } = self.words;
        let tags: Vec<Value> =
            tags.iter().map(|(name, meaning)| json!({"name": name, "description": meaning})).collect();
        let (mut schemas, mut responses, mut parameters) = (self.schemas, self.responses, self.parameters);
        parameters.sort_keys();
        schemas.sort_keys();
        responses.sort_keys();
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "description": description,
                "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
                "version": "1",
            },
            "servers": [{"url": "/", "description": "The server that this document comes from."}],
            "tags": tags,
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "parameters": parameters,
                "headers": refusals::header_components(),
                "securitySchemes": security_schemes,
            },
        });
        let text = format!("{document:#}\n");
        let digest =
            Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        SchemaView { media_type: "application/json", text, digest }
    }
}
