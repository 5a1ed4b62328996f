//! Journal and manifest in memory, for tests of the rooms that stand on these ports. Durable as long as the process.
//!
//! Faults can be asked for, to see that nobody acknowledges what was not kept.

use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::ports::{
    AppendedBatch, BatchContent, DoomedObject, Journal, Manifest, ManifestBatch, ManifestPart, NewBatch,
    Replacement, Rollup, Snapshot, SnapshotScope,
};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;

/// What the next call of `append` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NextAppend {
    /// It works.
    #[default]
    Works,
    /// It is refused; nothing is kept.
    Refused,
    /// Everything is kept, but the caller is told that it failed.
    ReplyLost,
    /// It never returns, and nothing is kept.
    Hangs,
}

#[derive(Debug)]
struct BatchRow {
    scope: SnapshotScope,
    batch: ManifestBatch,
    content: BatchContent,
    doomed_at_ms: Option<i64>,
}

#[derive(Debug)]
struct PartRow {
    scope: SnapshotScope,
    part: ManifestPart,
    rollups: Vec<Rollup>,
    doomed_at_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct Tables {
    watermarks: Vec<(SnapshotScope, u64)>,
    batches: BTreeMap<Uuid, BatchRow>,
    parts: BTreeMap<Uuid, PartRow>,
    exported: BTreeSet<String>,
    next_append: NextAppend,
    appends: u64,
}

/// Journal and manifest in memory. Clones share the tables.
#[derive(Debug, Clone, Default)]
pub struct MemoryCatalog(Arc<Mutex<Tables>>);

impl MemoryCatalog {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides what the next append does; after it, appends work again.
    pub fn set_next_append(&self, next: NextAppend) {
        self.tables().next_append = next;
    }

    /// Names a part of an export, as the row of its job would.
    pub fn name_export_part(&self, path: &str) {
        self.tables().exported.insert(path.to_owned());
    }

    /// How many appends were asked for.
    pub fn appends(&self) -> u64 {
        self.tables().appends
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn append(&mut self, batches: Vec<NewBatch>) -> Vec<AppendedBatch> {
        batches
            .into_iter()
            .map(|new| {
                let scope = SnapshotScope { tenant: new.tenant, dataset: new.dataset };
                let first_sequence = self.allocate(&scope, new.rows);
                let batch = ManifestBatch {
                    id: new.id,
                    first_sequence,
                    rows: new.rows,
                    time_ms: new.time_ms,
                    bytes: new.bytes,
                    unsettled: new.unsettled,
                    received_at_ms: new.received_at_ms,
                };
                let row = BatchRow { scope, batch, content: new.content, doomed_at_ms: None };
                self.batches.insert(new.id, row);
                AppendedBatch { id: new.id, first_sequence }
            })
            .collect()
    }

    fn allocate(&mut self, scope: &SnapshotScope, rows: u64) -> u64 {
        let at = self.watermarks.iter().position(|(of, _)| of == scope).unwrap_or_else(|| {
            self.watermarks.push((scope.clone(), 0));
            self.watermarks.len() - 1
        });
        let watermark = &mut self.watermarks[at].1;
        let first = *watermark + 1;
        *watermark += rows;
        first
    }

    fn is_live(&self, replacement: &Replacement) -> bool {
        let scope = &replacement.scope;
        let live_batch = |id: &Uuid| {
            self.batches.get(id).is_some_and(|row| row.doomed_at_ms.is_none() && row.scope == *scope)
        };
        let live_part = |id: &Uuid| {
            self.parts.get(id).is_some_and(|row| row.doomed_at_ms.is_none() && row.scope == *scope)
        };
        replacement.batches.iter().all(live_batch) && replacement.old_parts.iter().all(live_part)
    }
}

#[async_trait]
impl Journal for MemoryCatalog {
    async fn append(&self, batches: Vec<NewBatch>) -> Result<Vec<AppendedBatch>, Fault> {
        let refusal = || Fault::new(Code::Unavailable, "the control database cannot be reached; send again");
        let next = {
            let mut tables = self.tables();
            tables.appends += 1;
            std::mem::take(&mut tables.next_append)
        };
        match next {
            NextAppend::Works => Ok(self.tables().append(batches)),
            NextAppend::Refused => Err(refusal()),
            NextAppend::ReplyLost => {
                self.tables().append(batches);
                Err(refusal())
            }
            NextAppend::Hangs => std::future::pending().await,
        }
    }

    async fn contents(&self, batches: &[Uuid]) -> Result<Vec<BatchContent>, Fault> {
        let tables = self.tables();
        let content = |id: &Uuid| match tables.batches.get(id) {
            Some(row) => Ok(row.content.clone()),
            None => Err(Fault::internal("a batch is no longer there")),
        };
        batches.iter().map(content).collect()
    }
}

#[async_trait]
impl Manifest for MemoryCatalog {
    async fn snapshot(&self, scope: &SnapshotScope, range: TimeRange) -> Result<Snapshot, Fault> {
        let tables = self.tables();
        let watermark = tables.watermarks.iter().find(|(of, _)| of == scope).map_or(0, |(_, last)| *last);
        let in_range = |day: i32| {
            let first = i64::from(day) * DAY_MS;
            range.touches(first, first + DAY_MS - 1)
        };
        let mut parts: Vec<ManifestPart> = tables
            .parts
            .values()
            .filter(|row| row.scope == *scope && row.doomed_at_ms.is_none() && in_range(row.part.day))
            .map(|row| row.part.clone())
            .collect();
        parts.sort_by_key(|part| (part.day, part.row_groups.first().map(|group| group.ids.0)));
        let mut batches: Vec<ManifestBatch> = tables
            .batches
            .values()
            .filter(|row| row.scope == *scope && row.doomed_at_ms.is_none())
            .filter(|row| range.touches(row.batch.time_ms.0, row.batch.time_ms.1))
            .map(|row| row.batch.clone())
            .collect();
        batches.sort_by_key(|batch| batch.first_sequence);
        Ok(Snapshot { watermark, parts, batches })
    }

    async fn scopes(&self) -> Result<Vec<SnapshotScope>, Fault> {
        let tables = self.tables();
        let live = |scope: &SnapshotScope| {
            tables.batches.values().any(|row| row.scope == *scope && row.doomed_at_ms.is_none())
                || tables.parts.values().any(|row| row.scope == *scope && row.doomed_at_ms.is_none())
        };
        Ok(tables.watermarks.iter().map(|(scope, _)| scope.clone()).filter(live).collect())
    }

    async fn replace(&self, replacement: Replacement) -> Result<bool, Fault> {
        let mut tables = self.tables();
        if !tables.is_live(&replacement) {
            return Ok(false);
        }
        let Replacement { scope, batches, old_parts, new_parts, at_ms } = replacement;
        for id in batches {
            if let Some(row) = tables.batches.get_mut(&id) {
                row.doomed_at_ms = Some(at_ms);
            }
        }
        for id in old_parts {
            if let Some(row) = tables.parts.get_mut(&id) {
                row.doomed_at_ms = Some(at_ms);
            }
        }
        for new in new_parts {
            let row =
                PartRow { scope: scope.clone(), part: new.part, rollups: new.rollups, doomed_at_ms: None };
            tables.parts.insert(row.part.id, row);
        }
        Ok(true)
    }

    async fn rollups(&self, parts: &[Uuid]) -> Result<Vec<(Uuid, Rollup)>, Fault> {
        let tables = self.tables();
        let of_part = |id: &Uuid| {
            let id = *id;
            let rollups = tables.parts.get(&id).map(|row| row.rollups.clone()).unwrap_or_default();
            rollups.into_iter().map(move |rollup| (id, rollup))
        };
        Ok(parts.iter().flat_map(of_part).collect())
    }

    async fn doomed(&self, until_ms: i64, limit: usize) -> Result<Vec<DoomedObject>, Fault> {
        let tables = self.tables();
        let parts = tables.parts.values().filter_map(|row| {
            Some(DoomedObject {
                id: row.part.id,
                path: Some(row.part.path.clone()),
                doomed_at_ms: row.doomed_at_ms?,
            })
        });
        let batches = tables.batches.values().filter_map(|row| {
            let path = match &row.content {
                BatchContent::Object(path) => Some(path.clone()),
                BatchContent::Inline(_) => None,
            };
            Some(DoomedObject { id: row.batch.id, path, doomed_at_ms: row.doomed_at_ms? })
        });
        let mut doomed: Vec<DoomedObject> =
            parts.chain(batches).filter(|object| object.doomed_at_ms <= until_ms).collect();
        doomed.sort_by_key(|object| object.doomed_at_ms);
        doomed.truncate(limit);
        Ok(doomed)
    }

    async fn forget(&self, ids: &[Uuid]) -> Result<(), Fault> {
        let mut tables = self.tables();
        for id in ids {
            tables.batches.remove(id);
            tables.parts.remove(id);
        }
        Ok(())
    }

    async fn names_object(&self, path: &str) -> Result<bool, Fault> {
        let tables = self.tables();
        let by_batch = tables
            .batches
            .values()
            .any(|row| matches!(&row.content, BatchContent::Object(object) if object == path));
        Ok(by_batch
            || tables.exported.contains(path)
            || tables.parts.values().any(|row| row.part.path == path))
    }
}
