//! The rows of `audit-log`: a tenant's chain up to where it ended when the export began, or a job first saw it, page by page.
//!
//! The order is that of the chain. A chain of years is never in memory as a whole.

use futures::StreamExt;
use futures::stream;
use std::borrow::Cow;
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::audit::AuditRecord;
use tollbook_model::ports::{AuditLog, AuditScope, ExportRows, GivenRow};
use tollbook_model::selection::{Filter, FilterField, Selection};
use tollbook_model::tenant::TenantName;
use tollbook_model::value::Value;

/// Entries that are read at once.
const PAGE_ENTRIES: usize = 4096;

/// The place of the last entry of the chain as it is now, 0 when it is empty.
pub(super) async fn chain_end(audit_log: &dyn AuditLog, tenant: &TenantName) -> Result<u64, Fault> {
    Ok(audit_log.head(tenant).await?.map_or(0, |head| head.seq))
}

/// The rows that the selection names of the chain up to that entry.
///
/// How many rows there are about is the distance from the first one to that entry.
pub(super) async fn audit_rows(
    audit_log: Arc<dyn AuditLog>,
    tenant: &TenantName,
    selection: &Selection,
    up_to_seq: u64,
) -> Result<ExportRows, Fault> {
    let scope = AuditScope { tenant: tenant.clone(), range: selection.range, up_to_seq };
    let first = audit_log.page(&scope, 0, 1).await?;
    let about = first.first().map_or(0, |first| up_to_seq.saturating_sub(first.seq) + 1);
    let filters = selection.filters.clone();
    let reader = ChainReader { audit_log, scope, filters, after_seq: 0 };
    let pages = stream::try_unfold(reader, |mut reader| async move {
        let rows = reader.next_rows().await?;
        Ok((!rows.is_empty()).then_some((rows, reader)))
    });
    Ok(ExportRows::Paged { about, pages: pages.boxed() })
}

struct ChainReader {
    audit_log: Arc<dyn AuditLog>,
    scope: AuditScope,
    filters: Vec<Filter>,
    after_seq: u64,
}

impl ChainReader {
    /// Rows of the next page that has any; empty at the end.
    async fn next_rows(&mut self) -> Result<Vec<GivenRow>, Fault> {
        loop {
            let page = self.audit_log.page(&self.scope, self.after_seq, PAGE_ENTRIES).await?;
            let Some(last) = page.last() else { return Ok(Vec::new()) };
            self.after_seq = last.seq;
            let rows: Vec<GivenRow> =
                page.into_iter().filter(|record| self.passes(record)).map(row).collect();
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    fn passes(&self, record: &AuditRecord) -> bool {
        self.filters.iter().all(|filter| match filter.field {
            FilterField::Action => filter.values.contains(&record.action),
            FilterField::Actor => filter.values.contains(&record.actor),
            // No other filter applies to this dataset.
            _ => true,
        })
    }
}

/// A record in the order of its schema.
fn row(record: AuditRecord) -> GivenRow {
    let text = |text: String| Value::Text(Cow::Owned(text));
    let maybe = |value: Option<String>| value.map_or(Value::Null, text);
    vec![
        Value::Integer(i64::try_from(record.seq).unwrap_or(i64::MAX)),
        Value::Instant(record.at_ms),
        text(record.actor),
        maybe(record.actor_role),
        maybe(record.ip),
        text(record.action),
        maybe(record.object_type),
        maybe(record.object_id),
        Value::Text(Cow::Borrowed(record.outcome.name())),
        maybe(record.reason),
        text(hex::encode(record.previous)),
        text(hex::encode(record.hash)),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use serde_json::{Map, json};
    use tollbook_model::access::{Actor, Role};
    use tollbook_model::audit::{AuditEntry, AuditObject, FIRST_PREVIOUS, Outcome, hash_of};
    use tollbook_model::dataset::Dataset;
    use tollbook_model::schema::Schema;
    use tollbook_model::time_range::instant_text;

    #[test]
    fn a_row_holds_what_its_hash_was_made_of() {
        let entry = AuditEntry {
            tenant: TenantName::default_tenant(),
            home: None,
            at_ms: 1_767_603_600_000,
            actor: Actor::System,
            actor_role: Some(Role::Admin),
            ip: Some([192, 0, 2, 7].into()),
            action: "token.create",
            object: Some(AuditObject::new("token", 42)),
            outcome: Outcome::Denied,
            reason: Some("because".into()),
        };
        let row = row(entry.chained(1, FIRST_PREVIOUS));
        let fields = Schema::of(Dataset::AuditLog).fields;
        assert_eq!(row.len(), fields.len());
        let mut members = Map::new();
        for (field, value) in fields.iter().zip(&row) {
            let json = match value {
                Value::Integer(number) => json!(number),
                Value::Instant(ms) => json!(instant_text(*ms)),
                other => json!(other.as_text().unwrap()),
            };
            members.insert(field.name.into(), json);
        }
        let hash = members.remove("hash").unwrap();
        assert_eq!(hash, hex::encode(hash_of(&members).unwrap()));
    }
}
