//! Writes a sorted stream of records as parts of one day, each at most so large, durable when it is done.
//!
//! The parts are visible to nobody until the manifest names them.

use super::rollups::RollupCounter;
use crate::blob::{BlobWriter, Blobs};
use arrow_array::RecordBatch;
use tollbook_columns::parquet_file::PartWriter;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::IdSource;
use tollbook_model::ports::{ManifestPart, NewPart, SnapshotScope};
use tollbook_model::time_range::utc_day_text;
use uuid::Uuid;

/// Version of the file layout that is written now.
const LAYOUT: u32 = 1;

/// Parts of one day being written.
pub(super) struct PartOutput<'o> {
    pub(super) blobs: &'o dyn Blobs,
    pub(super) ids: &'o IdSource,
    pub(super) scope: &'o SnapshotScope,
    pub(super) day: i32,
    pub(super) part_rows: usize,
}

struct OpenPart {
    id: Uuid,
    path: String,
    writer: PartWriter<Box<dyn BlobWriter>>,
    rollups: RollupCounter,
    rows: usize,
}

impl PartOutput<'_> {
    /// Writes all that `next` gives. The parts' `unsettled` is false; the caller knows better.
    ///
    /// # Errors
    /// `storage_full`, `internal`, or what `next` fails with. Parts published before are garbage then.
    pub(super) fn write_all(
        &self,
        mut next: impl FnMut() -> Result<Option<RecordBatch>, Fault>,
    ) -> Result<Vec<NewPart>, Fault> {
        let mut written = Vec::new();
        let mut open: Option<OpenPart> = None;
        while let Some(piece) = next()? {
            let mut offset = 0;
            while offset < piece.num_rows() {
                let part = match &mut open {
                    Some(part) => part,
                    None => open.insert(self.start()?),
                };
                let rows = (self.part_rows - part.rows).min(piece.num_rows() - offset);
                let slice = piece.slice(offset, rows);
                part.writer.write(&slice)?;
                part.rollups.add(&slice)?;
                part.rows += rows;
                offset += rows;
                if part.rows >= self.part_rows {
                    written.extend(open.take().map(|full| self.finish(full)).transpose()?);
                }
            }
        }
        written.extend(open.take().map(|last| self.finish(last)).transpose()?);
        Ok(written)
    }

    fn start(&self) -> Result<OpenPart, Fault> {
        let id = self.ids.next_id();
        let path = format!("{}{id}.parquet", partition(self.scope, self.day));
        let writer = PartWriter::new(self.blobs.create(&path)?);
        Ok(OpenPart { id, path, writer, rollups: RollupCounter::default(), rows: 0 })
    }

    fn finish(&self, open: OpenPart) -> Result<NewPart, Fault> {
        let (written, sink) = open.writer.finish()?;
        sink.publish()?;
        Ok(NewPart {
            part: ManifestPart {
                id: open.id,
                path: open.path,
                day: self.day,
                rows: written.rows,
                bytes: written.bytes,
                sequences: written.sequences,
                unsettled: false,
                layout: LAYOUT,
                row_groups: written.row_groups,
            },
            rollups: open.rollups.finish(),
        })
    }
}

/// Key prefix of a day's parts, with the slash at its end.
fn partition(scope: &SnapshotScope, day: i32) -> String {
    format!("lake/{}/tenant={}/date={}/", scope.dataset, scope.tenant, utc_day_text(day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::tenant::TenantName;

    #[test]
    fn partitions_are_hive_folders_tenant_first() {
        let scope = SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr };
        assert_eq!(partition(&scope, 20_458), "lake/cdr/tenant=default/date=2026-01-05/");
        assert_eq!(partition(&scope, 0), "lake/cdr/tenant=default/date=1970-01-01/");
    }
}
