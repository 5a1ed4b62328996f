//! Published views of a schema: JSON Schema 2020-12, TypeScript and Python (`natalia.md` section 12).

use super::{Field, FieldKind, Schema};
use serde_json::{Map, Value, json};

impl Schema {
    /// The schema's id below a public base URL such as `https://cdr.example.net:8443`.
    pub fn id(&self, public_base: &str) -> String {
        format!("{}/api/v1/schemas/{}/v1.json", public_base.trim_end_matches('/'), self.dataset.name())
    }

    /// JSON Schema, draft 2020-12.
    pub fn json_schema(&self, public_base: &str) -> Value {
        let mut properties = Map::new();
        for field in self.fields {
            let mut property = json_type(field.kind);
            property.insert("description".into(), field.meaning.into());
            properties.insert(field.name.into(), Value::Object(property));
        }
        let required: Vec<&str> =
            self.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": self.id(public_base),
            "title": self.interface,
            "type": "object",
            "properties": properties,
            "required": required,
        })
    }

    /// A TypeScript interface that passes `tsc --strict`.
    pub fn typescript(&self) -> String {
        let mut text = format!("/** A record of the dataset `{}`, schema v1. */\n", self.dataset.name());
        text.push_str(&format!("export interface {} {{\n", self.interface));
        for field in self.fields {
            let optional = if field.required { "" } else { "?" };
            text.push_str(&format!("  /** {} */\n", field.meaning));
            text.push_str(&format!("  {}{optional}: {};\n", field.name, typescript_type(field.kind)));
        }
        text.push_str("}\n");
        text
    }

    /// A Python 3.11 `TypedDict` that passes `mypy --strict`.
    pub fn python(&self) -> String {
        let mut text = String::from("from typing import Literal, NotRequired, TypedDict\n\n\n");
        text.push_str(&format!("class {}(TypedDict):\n", self.interface));
        text.push_str(&format!(
            "    \"\"\"A record of the dataset `{}`, schema v1.\"\"\"\n\n",
            self.dataset.name()
        ));
        for field in self.fields {
            let python = python_type(field);
            text.push_str(&format!("    {}: {python}\n    \"\"\"{}\"\"\"\n", field.name, field.meaning));
        }
        text
    }
}

fn json_type(kind: FieldKind) -> Map<String, Value> {
    let value = match kind {
        FieldKind::Uuid => json!({"type": "string", "format": "uuid"}),
        FieldKind::Text => json!({"type": "string"}),
        FieldKind::LastFour => json!({"type": "string", "pattern": "^[0-9]{4}$"}),
        FieldKind::Word(words) => json!({"type": "string", "enum": words}),
        FieldKind::Integer { min, max: i64::MAX } => json!({"type": "integer", "minimum": min}),
        FieldKind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        FieldKind::Instant => json!({"type": "string", "format": "date-time"}),
        FieldKind::Number => json!({"type": "number"}),
        FieldKind::Money => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"}),
        FieldKind::StringMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        FieldKind::Boolean => json!({"type": "boolean"}),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn typescript_type(kind: FieldKind) -> String {
    match kind {
        FieldKind::Uuid | FieldKind::Text | FieldKind::LastFour | FieldKind::Instant | FieldKind::Money => {
            "string".into()
        }
        FieldKind::Word(words) => {
            words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | ")
        }
        FieldKind::Integer { .. } | FieldKind::Number => "number".into(),
        FieldKind::StringMap => "Record<string, string>".into(),
        FieldKind::Boolean => "boolean".into(),
    }
}

fn python_type(field: &Field) -> String {
    let plain = match field.kind {
        FieldKind::Uuid | FieldKind::Text | FieldKind::LastFour | FieldKind::Instant | FieldKind::Money => {
            "str".into()
        }
        FieldKind::Word(words) => {
            format!(
                "Literal[{}]",
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
            )
        }
        FieldKind::Integer { .. } => "int".into(),
        FieldKind::Number => "float".into(),
        FieldKind::StringMap => "dict[str, str]".into(),
        FieldKind::Boolean => "bool".into(),
    };
    if field.required { plain } else { format!("NotRequired[{plain}]") }
}
