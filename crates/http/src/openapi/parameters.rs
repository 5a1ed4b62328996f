//! Parameters of paths, queries and headers.

use super::schemas::{text, word};
use serde_json::{Value, json};
use tollbook_model::call::RESULTS;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::{DIRECTIONS, INTERVALS, Schema};
use tollbook_model::selection::FilterField;
use tollbook_model::source::ALIAS_BYTES;
use tollbook_model::tenant::TenantName;

/// Characters that names of tenants are made of.
pub(crate) const TENANT_NAME: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._-]+$";

/// A segment of the path.
pub(crate) fn path(name: &str, description: &str, schema: Value, example: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        "example": example,
    })
}

/// The id of something that there may be.
pub(crate) fn id(description: &str) -> Value {
    let schema = json!({"type": "string", "format": "uuid"});
    path("id", description, schema, "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01")
}

/// The name of a source.
pub(crate) fn pbx_alias() -> Value {
    let schema = text(1..=ALIAS_BYTES, "^[^/\\x00-\\x1f\\x7f-\\x9f]+$");
    path("pbx_alias", "Name of the source, at most 100 bytes.", schema, "lyon")
}

/// The name of a tenant.
pub(crate) fn tenant() -> Value {
    path("tenant", "Name of the tenant.", text(1..=TenantName::MOST_BYTES, TENANT_NAME), "acme_bank")
}

/// The name of a dataset.
pub(crate) fn dataset() -> Value {
    path("dataset", "Name of the dataset.", word(&Dataset::ALL.map(Dataset::name)), "cdr")
}

/// Which tenant is meant, for credentials that are good for several.
pub(crate) fn named_tenant() -> Value {
    json!({
        "name": "Tollbook-Tenant", "in": "header", "schema": text(1..=TenantName::MOST_BYTES, TENANT_NAME),
        "description": "Name of the tenant that is meant. Needed only with a credential that is good for several; \
            refused with 403 when the credential is not good for it.",
    })
}

/// Which text the caller has already.
pub(crate) fn if_none_match() -> Value {
    json!({
        "name": "If-None-Match", "in": "header", "schema": {"type": "string"},
        "description": "`ETag` of the text that the caller has; answered with 304 when it is still the same.",
    })
}

/// What happens to the good rows of a body that has bad ones.
pub(crate) fn on_error() -> Value {
    let mut schema = word(&["reject", "skip"]);
    schema["default"] = "reject".into();
    query(
        "on_error",
        "What happens to the good rows of a body with bad ones: nothing is kept, or they are.",
        schema,
    )
}

/// What is exported, and how (`natalia.md` section 6).
pub(crate) fn export() -> Vec<Value> {
    let mut all = vec![
        from(),
        to(),
        query(
            "format",
            "Format of the file.",
            default(word(&ExportFormat::ALL.map(ExportFormat::name)), "csv"),
        ),
        columns(),
        query("tz", "IANA time zone of dates, and of times in CSV and JSON.", timezone()),
        query(
            "formula_guard",
            "`1` (with csv and csv.gz only): cells that programs could take for formulas get a leading `'`.",
            default(word(&["0", "1"]), "0"),
        ),
        query(
            "sign",
            "What is signed: nothing, a manifest of the file, or (with json and ndjson only) also each record. Without \
             it, `manifest` with json and ndjson, else `none`.",
            word(&Signing::ALL.map(Signing::name)),
        ),
        query("schema", "Version of the schema.", default(word(&["v1"]), "v1")),
        query("interval", "Length of the buckets. Of `kpis` only.", default(word(&INTERVALS), "day")),
    ];
    all.extend(FilterField::PARAMETERS.map(filter));
    all
}

/// The range of a completeness report.
pub(crate) fn range() -> Vec<Value> {
    let mut from = query("from", "Begin: a day in `tz`, or a date-time.", bound());
    from["required"] = true.into();
    from["example"] = "2026-01-01".into();
    vec![from, to(), query("tz", "IANA time zone of dates.", timezone())]
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn from() -> Value {
    let description = "Begin: a day in `tz`, or a date-time. Required, except for `agent-configuration`.";
    let mut from = query("from", description, bound());
    from["example"] = "2026-01-01".into();
    from
}

fn to() -> Value {
    let description = "End: of the whole day, in `tz`, or a date-time (exclusive). Must be after `from`.";
    query("to", description, bound())
}

/// A day, or a moment with or without offset.
fn bound() -> Value {
    json!({"anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": LOCAL_TIME},
    ]})
}

const LOCAL_TIME: &str = r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?$";

fn default(mut schema: Value, default: &str) -> Value {
    schema["default"] = default.into();
    schema
}

fn timezone() -> Value {
    let mut schema = text(1..=64, "^[A-Za-z0-9_+/-]+$");
    schema["examples"] = json!(["UTC", "Europe/Paris"]);
    default(schema, "UTC")
}

/// A list with commas. Each dataset has columns of its own, so the words are those of all.
fn columns() -> Value {
    let mut names: Vec<&str> = Vec::new();
    for field in Dataset::ALL.into_iter().flat_map(|dataset| Schema::of(dataset).fields) {
        if !names.contains(&field.name) {
            names.push(field.name);
        }
    }
    let schema = json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": word(&names)});
    let mut columns = query(
        "columns",
        "Columns of the dataset, in the order of the file, parted by commas. Without it, the usual ones.",
        schema,
    );
    columns["style"] = "form".into();
    columns["explode"] = false.into();
    columns
}

fn filter(field: FilterField) -> Value {
    let items = match field {
        FilterField::Direction => word(&DIRECTIONS),
        FilterField::Result => word(&RESULTS),
        _ => json!({"type": "string", "minLength": 1}),
    };
    let datasets: Vec<String> = Dataset::ALL
        .into_iter()
        .filter(|&dataset| field.applies_to(dataset))
        .map(|dataset| format!("`{dataset}`"))
        .collect();
    let how = if field.is_number() { "a number in any spelling, or a pseudonym" } else { "exact" };
    let description =
        format!("Only records with any of these values ({how}). Of {} only.", datasets.join(" and "));
    let mut filter = query(field.name(), &description, json!({"type": "array", "items": items}));
    filter["style"] = "form".into();
    filter["explode"] = true.into();
    filter
}
