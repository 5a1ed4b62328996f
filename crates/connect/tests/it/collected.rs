//! A sink that keeps what it gets, and the tenant and source that tests read with.

use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use tollbook_connect::Registry;
use tollbook_kit::fault::Fault;
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::ports::{Committed, ConnectorRegistry, RecordSink, RowReport, SourceBody};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::source::Source;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::value::Value;

/// A record as texts by field name; fields of `extra` are named `extra.<name>`.
pub(crate) type Texts = BTreeMap<String, String>;

/// What one body gave.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) records: Vec<Texts>,
    pub(crate) report: RowReport,
}

impl Collected {
    /// The values of a field, `-` for none.
    pub(crate) fn column(&self, field: &str) -> Vec<&str> {
        self.records.iter().map(|record| record.get(field).map_or("-", String::as_str)).collect()
    }

    /// The only record.
    pub(crate) fn only(&self) -> &Texts {
        assert_eq!(self.records.len(), 1, "{:?}", self.report);
        &self.records[0]
    }
}

#[derive(Default)]
struct Sink(Vec<Texts>);

#[async_trait::async_trait]
impl RecordSink for Sink {
    fn push(&mut self, record: &CallRecord<'_>) {
        let mut texts = Texts::new();
        for field in CallField::ALL {
            let text = match record.get(field) {
                Value::Null => continue,
                Value::Text(text) => text.clone().into_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Money(amount) => amount.to_string(),
                Value::Instant(ms) => {
                    jiff::Timestamp::from_millisecond(*ms).expect("fields are bounded").to_string()
                }
                Value::Uuid(id) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
                other => format!("{other:?}"),
            };
            texts.insert(field.name().to_owned(), text);
        }
        for (name, value) in record.extra() {
            texts.insert(format!("extra.{name}"), value.clone().into_owned());
        }
        self.0.push(texts);
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn commit(self: Box<Self>) -> Result<Committed, Fault> {
        Ok(Committed::default())
    }
}

/// A body with these query parameters, read by a source with these settings, numbers kept in clear.
pub(crate) fn read_with(
    kind: &str,
    settings: Json,
    query: &[(String, String)],
    body: &[u8],
    caller_numbers: CallerNumbers,
) -> Result<Collected, Fault> {
    let registry = Registry::standard();
    let connector = registry.connector(kind).expect("a known kind");
    let given: Map<String, Json> = settings.as_object().expect("an object").clone();
    let source = Source {
        id: uuid::Uuid::nil(),
        pbx_alias: "pbx-1".to_owned(),
        kind: kind.to_owned(),
        settings: connector.check(&given)?,
        enabled: true,
        version: 1,
        last_seen_at_ms: None,
        updated_at_ms: 0,
    };
    assert_eq!(connector.check(&source.settings)?, source.settings, "completed settings are complete");
    let tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
        .with_caller_numbers(caller_numbers);
    let body = SourceBody {
        bytes: body,
        content_type: Some("text/plain"),
        query,
        received_at_ms: 1_800_000_000_000,
    };
    let mut sink = Sink::default();
    let report = connector.read(&source, &tenant, &body, &mut sink)?;
    assert_eq!(report.rows, sink.0.len() as u64 + report.rejected, "every row is a record or has a reason");
    Ok(Collected { records: sink.0, report })
}

/// As [`read_with`], without query parameters and with numbers in clear.
pub(crate) fn read(kind: &str, settings: Json, body: impl AsRef<[u8]>) -> Collected {
    read_with(kind, settings, &[], body.as_ref(), CallerNumbers::Plain).expect("the body can be read")
}
