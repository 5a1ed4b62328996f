//! The published schemas of the datasets: JSON Schema, TypeScript, Python. Public; no caller is needed.

use serde_json::json;
use sha2::{Digest, Sha256};
use tollbook_model::dataset::Dataset;
use tollbook_model::schema::Schema;

/// A form in which a schema is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaForm {
    /// JSON Schema, draft 2020-12.
    JsonSchema,
    /// A TypeScript interface.
    TypeScript,
    /// A Python `TypedDict`.
    Python,
}

/// A published text, ready to be sent.
#[derive(Debug, Clone)]
pub struct SchemaView {
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: String,
    /// A digest of the text, for caches.
    pub digest: String,
}

impl SchemaView {
    fn new(media_type: &'static str, text: String) -> Self {
        let digest =
            Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { media_type, text, digest }
    }
}

/// All published texts; they change only with the build and the public URL, so they are made once.
#[derive(Debug)]
pub struct SchemaViews {
    index: SchemaView,
    views: Vec<(Dataset, SchemaForm, SchemaView)>,
}

impl SchemaViews {
    pub(crate) fn new(public_url: &str) -> Self {
        let mut views = Vec::new();
        for dataset in Dataset::ALL {
            let schema = Schema::of(dataset);
            let text = format!("{:#}\n", schema.json_schema(public_url));
            views.push((dataset, SchemaForm::JsonSchema, SchemaView::new("application/schema+json", text)));
            let plain = "text/plain; charset=utf-8";
            views.push((dataset, SchemaForm::TypeScript, SchemaView::new(plain, schema.typescript())));
            views.push((dataset, SchemaForm::Python, SchemaView::new(plain, schema.python())));
        }
        Self { index: index(public_url), views }
    }

    /// The list of schemas.
    pub fn index(&self) -> &SchemaView {
        &self.index
    }

    /// The newest schema of a dataset in this form; so far that is version 1.
    pub fn view(&self, dataset: Dataset, form: SchemaForm) -> &SchemaView {
        let view = self.views.iter().find(|(d, f, _)| *d == dataset && *f == form).map(|(_, _, view)| view);
        view.expect("every dataset has a view in every form")
    }
}

fn index(public_url: &str) -> SchemaView {
    let base = format!("{}/api/v1/schemas", public_url.trim_end_matches('/'));
    let items: Vec<_> = Dataset::ALL
        .into_iter()
        .map(|dataset| {
            json!({
                "dataset": dataset.name(),
                "version": "v1",
                "json_schema": Schema::of(dataset).id(public_url),
                "typescript": format!("{base}/{dataset}.ts"),
                "python": format!("{base}/{dataset}.py"),
            })
        })
        .collect();
    SchemaView::new("application/json", format!("{}\n", json!({ "items": items })))
}
