//! The field catalogue: what every dataset's records consist of, and the published views of it.
//!
//! A new field is one entry here; Arrow schema, columns, CSV header, JSON Schema and types follow from it.

mod views;

use crate::call::CALL_FIELDS;
use crate::dataset::Dataset;

/// What kind of values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A UUID.
    Uuid,
    /// Any text.
    Text,
    /// Text of exactly four digits.
    LastFour,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number between the bounds (both included).
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A moment, to the millisecond.
    Instant,
    /// A measured number.
    Number,
    /// An exact amount.
    Money,
    /// An object of strings; in CSV and Parquet its RFC 8785 text.
    StringMap,
    /// Yes or no.
    Boolean,
}

/// How many different values a text field has; decides how it is stored and rendered, never what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variety {
    /// Few: a dictionary serves.
    Low,
    /// As good as every record has its own.
    High,
}

/// One field of a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name everywhere.
    pub name: &'static str,
    /// Its kind of values.
    pub kind: FieldKind,
    /// Has every record a value?
    pub required: bool,
    /// Is it exported when no columns are named?
    pub exported_by_default: bool,
    /// How many different values to expect.
    pub variety: Variety,
    /// What it means, for schemas and documents.
    pub meaning: &'static str,
}

/// Version 1 of a dataset's schema, the only one so far.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The dataset.
    pub dataset: Dataset,
    /// Name of the published TypeScript and Python type.
    pub interface: &'static str,
    /// The fields in column order.
    pub fields: &'static [Field],
}

impl Schema {
    /// The schema of a dataset.
    pub fn of(dataset: Dataset) -> Self {
        let (interface, fields): (&'static str, &'static [Field]) = match dataset {
            Dataset::Cdr => ("CdrRecord", &CALL_FIELDS),
            Dataset::Kpis => ("KpiRecord", &KPI_FIELDS),
            Dataset::AuditLog => ("AuditLogRecord", &AUDIT_LOG_FIELDS),
            Dataset::AgentConfiguration => ("AgentConfigurationRecord", &AGENT_CONFIGURATION_FIELDS),
        };
        Self { dataset, interface, fields }
    }

    /// Position of the field of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Positions of the fields exported when no columns are named, in order.
    pub fn default_columns(&self) -> Vec<usize> {
        (0..self.fields.len()).filter(|&at| self.fields[at].exported_by_default).collect()
    }
}

const fn field(name: &'static str, kind: FieldKind, required: bool, meaning: &'static str) -> Field {
    Field { name, kind, required, exported_by_default: true, variety: Variety::Low, meaning }
}

const COUNT: FieldKind = FieldKind::Integer { min: 0, max: i64::MAX };

/// Words of `interval`.
pub const INTERVALS: [&str; 4] = ["hour", "day", "week", "month"];
/// Words of `direction`.
pub const DIRECTIONS: [&str; 3] = ["inbound", "outbound", "internal"];

/// The fields of `kpis` (`natalia.md` section 4).
pub static KPI_FIELDS: [Field; 12] = [
    field("bucket_start", FieldKind::Instant, true, "start of the bucket in the time zone of the export"),
    field("interval", FieldKind::Word(&INTERVALS), true, "length of the bucket; weeks start on Monday"),
    field("pbx_alias", FieldKind::Text, true, "source PBX"),
    field("direction", FieldKind::Word(&DIRECTIONS), true, "direction of the calls"),
    field("calls", COUNT, true, "calls that started in the bucket"),
    field("answered", COUNT, true, "calls with result answered"),
    field("no_answer", COUNT, true, "calls with result no-answer"),
    field("busy", COUNT, true, "calls with result busy"),
    field("abandoned", COUNT, true, "calls with result abandoned"),
    field("other", COUNT, true, "calls without a result"),
    field("duration_s", COUNT, true, "sum of connected seconds"),
    field("max_duration_s", COUNT, true, "longest call in connected seconds"),
];

/// Words of `outcome`.
pub const OUTCOMES: [&str; 3] = ["success", "denied", "error"];

/// The fields of `audit-log` (`natalia.md` sections 4 and 14).
pub static AUDIT_LOG_FIELDS: [Field; 12] = [
    field(
        "seq",
        FieldKind::Integer { min: 1, max: i64::MAX },
        true,
        "place in the tenant's chain, without gaps",
    ),
    field("at", FieldKind::Instant, true, "when it happened"),
    field("actor", FieldKind::Text, true, "who: token:id, user:id, subject:name or system"),
    field("actor_role", FieldKind::Text, false, "role of the actor at that time"),
    field("ip", FieldKind::Text, false, "address of the request"),
    field("action", FieldKind::Text, true, "what was done or attempted"),
    field("object_type", FieldKind::Text, false, "kind of thing that it was done to"),
    field("object_id", FieldKind::Text, false, "which one"),
    field("outcome", FieldKind::Word(&OUTCOMES), true, "how it ended"),
    field("reason", FieldKind::Text, false, "why, as given by the actor or for a refusal"),
    field("prev_hash", FieldKind::Text, true, "hash of the entry before; 64 zeros for the first"),
    field(
        "hash",
        FieldKind::Text,
        true,
        "SHA-256 over tollbook-audit-v1, a line end and this record without hash",
    ),
];

/// The fields of `agent-configuration` (`natalia.md` section 4): the configured sources.
pub static AGENT_CONFIGURATION_FIELDS: [Field; 11] = [
    field("id", FieldKind::Uuid, true, "id of the source"),
    field("pbx_alias", FieldKind::Text, true, "name of the source"),
    field("kind", FieldKind::Text, true, "connector that reads it"),
    field("host", FieldKind::Text, false, "host that is polled"),
    field("port", FieldKind::Integer { min: 1, max: 65535 }, false, "port that is polled"),
    field("username", FieldKind::Text, false, "user name used there; never its password"),
    field("poll_interval_s", COUNT, false, "seconds between polls"),
    field("enabled", FieldKind::Boolean, true, "does it take records?"),
    field("version", FieldKind::Text, false, "version of its configuration"),
    field("last_seen_at", FieldKind::Instant, false, "when it last sent records"),
    field("updated_at", FieldKind::Instant, true, "when its configuration last changed"),
];
