//! Where the parts of exports are written, and read again by whoever goes on behind them. Blocking.

use super::FOLDER;
use crate::blob::{BlobWriter, Blobs, storage_full, write_fault};
use std::io::Write;
use std::sync::Arc;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::ids::IdSource;
use tollbook_model::export_job::ExportPart;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Bytes that are written between two looks at the room that is left.
const LOOK_AFTER_BYTES: u64 = 8 << 20;

/// Parts of exports. Clones share the objects.
#[derive(Debug, Clone)]
pub struct PartStore {
    blobs: Arc<dyn Blobs>,
    ids: IdSource,
    reserve_bytes: u64,
}

impl PartStore {
    /// Parts that lie there, under ids of this source. Nothing is written while less than `reserve_bytes` are left: the
    /// same as ingest leaves for compaction, the sweep and the control database.
    pub fn new(blobs: Arc<dyn Blobs>, ids: IdSource, reserve_bytes: u64) -> Self {
        Self { blobs, ids, reserve_bytes }
    }

    /// Starts a part of that export, under a key that no other attempt ever had.
    ///
    /// # Errors
    /// `storage_full` or `internal`.
    pub fn create(&self, tenant: &TenantName, export: Uuid) -> Result<UnpublishedPart, Fault> {
        self.look_for_room()?;
        let path = format!("{FOLDER}/tenant={tenant}/{export}/{}.part", self.ids.next_id());
        let writer = self.blobs.create(&path)?;
        Ok(UnpublishedPart { store: self.clone(), path, writer, bytes: 0, next_look: LOOK_AFTER_BYTES })
    }

    /// Opens a part that was kept; none when its object is gone, or is not as large as it was. A part without an object
    /// is empty.
    ///
    /// # Errors
    /// `internal`.
    pub fn open(&self, part: &ExportPart) -> Result<Option<Arc<dyn ByteSource>>, Fault> {
        let source = match &part.path {
            Some(path) => self.blobs.find(path)?,
            None => Some(Arc::new(bytes::Bytes::new()) as Arc<dyn ByteSource>),
        };
        Ok(source.filter(|source| source.size() == part.bytes))
    }

    fn look_for_room(&self) -> Result<(), Fault> {
        let left = self.blobs.free_bytes()?;
        if left < self.reserve_bytes { Err(storage_full().with_context("writing an export")) } else { Ok(()) }
    }
}

/// A part that is being written. Dropped unpublished, it leaves nothing.
pub struct UnpublishedPart {
    store: PartStore,
    path: String,
    writer: Box<dyn BlobWriter>,
    bytes: u64,
    next_look: u64,
}

impl UnpublishedPart {
    /// Appends bytes.
    ///
    /// # Errors
    /// `storage_full` or `internal`; then it must be dropped.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.bytes >= self.next_look {
            self.store.look_for_room()?;
            self.next_look = self.bytes + LOOK_AFTER_BYTES;
        }
        self.writer.write_all(bytes).map_err(|error| write_fault("writing a part of an export", error))?;
        self.bytes += u64::try_from(bytes.len()).fault("counting the bytes of a part")?;
        Ok(())
    }

    /// Makes it durable; answers the key of its object.
    ///
    /// # Errors
    /// `storage_full` or `internal`.
    pub fn publish(self) -> Result<String, Fault> {
        self.writer.publish()?;
        Ok(self.path)
    }
}
