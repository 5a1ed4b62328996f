//! Writes an export's file in parts: each an object that is written as its bytes come, never held whole in memory, and
//! durable before anybody hears of it.
//!
//! A part ends with a stretch of time, once it is large enough or took long enough; so parts differ from attempt to
//! attempt, but not the file that they make.

use crate::encoded::Encoded;
use crate::file_writer::FileWriter;
use crate::part_state::PartState;
use crate::pipeline::{Emitter, Outlet};
use crate::stretches::Stretch;
use bytes::Bytes;
use crc32fast::Hasher;
use futures::channel::oneshot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::export::{ExportCounters, ExportedFile};
use tollbook_model::export_job::ExportPart;
use tollbook_model::format::ExportFormat;
use tollbook_model::tenant::TenantName;
use tollbook_store::artifacts::{PartStore, UnpublishedPart};
use uuid::Uuid;

/// When a part ends: with the stretch in which one of both is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartSize {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// Whose parts they are, and where they go.
pub(crate) struct PartsOf {
    pub(crate) tenant: TenantName,
    pub(crate) export: Uuid,
    pub(crate) format: ExportFormat,
    pub(crate) store: PartStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) size: PartSize,
}

/// A file that is written in parts.
pub(crate) struct PartWriter {
    file: FileWriter,
    parts: Parts,
    progress: Progress,
    told: oneshot::Sender<ExportedFile>,
}

impl PartWriter {
    /// Goes on with `file` behind so many parts, over these stretches.
    pub(crate) fn new(
        file: FileWriter,
        of: PartsOf,
        parts_before: u32,
        stretches: VecDeque<Stretch>,
        counters: Arc<ExportCounters>,
        told: oneshot::Sender<ExportedFile>,
    ) -> Self {
        let begun = Begun::new(of.clock.monotonic(), file.row_groups());
        let parts = Parts { of, number: parts_before, begun };
        let left = stretches.front().map_or(0, |stretch| stretch.records);
        Self { file, parts, progress: Progress { stretches, left, counters }, told }
    }
}

impl Emitter for PartWriter {
    type Result = Encoded;
    type Item = ExportPart;

    fn open(&mut self, _: &Outlet<ExportPart>) -> Result<(), Fault> {
        let Self { file, parts, .. } = self;
        if parts.number == 0 { file.open(&mut |bytes| parts.write(&bytes)) } else { Ok(()) }
    }

    fn emit(&mut self, result: Encoded, outlet: &Outlet<ExportPart>) -> Result<(), Fault> {
        let Self { file, parts, progress, .. } = self;
        if !matches!(result, Encoded::StretchEnd) {
            let rows = result.rows();
            file.append(result, &mut |bytes| parts.write(&bytes))?;
            progress.exported(rows);
            return Ok(());
        }
        // The last stretch ends with the file.
        match progress.end_stretch() {
            Some(next_ms) if parts.is_large() => outlet.hand_on(parts.finish(file, Some(next_ms))?),
            _ => Ok(()),
        }
    }

    fn close(self, outlet: &Outlet<ExportPart>) -> Result<(), Fault> {
        let Self { file, mut parts, mut progress, told } = self;
        progress.end_stretch();
        // Of a whole file only its rows and its tree are asked for again.
        let mut state = parts.state(&file, None)?;
        let file = file.close(&mut |bytes| parts.write(&bytes))?;
        state.crc32 = parts.begun.crc32.clone().finalize();
        outlet.hand_on(parts.publish(&state)?)?;
        // That nobody listens is no fault.
        let _not_wanted = told.send(file);
        Ok(())
    }
}

/// The part that is being written, and its place.
struct Parts {
    of: PartsOf,
    number: u32,
    begun: Begun,
}

/// What there is of a part.
struct Begun {
    /// None while it is empty.
    object: Option<UnpublishedPart>,
    bytes: u64,
    crc32: Hasher,
    since: Duration,
    first_row_group: usize,
}

impl Begun {
    fn new(since: Duration, first_row_group: usize) -> Self {
        Self { object: None, bytes: 0, crc32: Hasher::new(), since, first_row_group }
    }
}

impl Parts {
    fn write(&mut self, bytes: &Bytes) -> Result<(), Fault> {
        let Self { of, begun, .. } = self;
        if bytes.is_empty() {
            return Ok(());
        }
        let object = match &mut begun.object {
            Some(object) => object,
            none => none.insert(of.store.create(&of.tenant, of.export)?),
        };
        object.write(bytes)?;
        begun.bytes += bytes.len() as u64;
        begun.crc32.update(bytes);
        Ok(())
    }

    fn is_large(&self) -> bool {
        let PartSize { bytes, time } = self.of.size;
        self.begun.bytes >= bytes || self.of.clock.monotonic().saturating_sub(self.begun.since) >= time
    }

    fn state(&self, file: &FileWriter, next_ms: Option<i64>) -> Result<PartState, Fault> {
        let Begun { crc32, first_row_group, .. } = &self.begun;
        let of = (self.of.export, self.of.format.name());
        PartState::of(of, file, *first_row_group, crc32.clone().finalize(), next_ms)
    }

    /// Ends the part and begins the next.
    fn finish(&mut self, file: &FileWriter, next_ms: Option<i64>) -> Result<ExportPart, Fault> {
        let state = self.state(file, next_ms)?;
        let part = self.publish(&state)?;
        self.number += 1;
        self.begun = Begun::new(self.of.clock.monotonic(), file.row_groups());
        Ok(part)
    }

    fn publish(&mut self, state: &PartState) -> Result<ExportPart, Fault> {
        let path = self.begun.object.take().map(UnpublishedPart::publish).transpose()?;
        Ok(ExportPart { number: self.number, path, bytes: self.begun.bytes, state: state.to_bytes()? })
    }
}

/// Tells how far it is: within a stretch no record is exported that was not looked at, at its end all were.
struct Progress {
    /// The stretch that is being written, and those that come.
    stretches: VecDeque<Stretch>,
    /// Records of this stretch that are not known to have been looked at.
    left: u64,
    counters: Arc<ExportCounters>,
}

impl Progress {
    fn exported(&mut self, rows: u64) {
        let examined = rows.min(self.left);
        self.left -= examined;
        self.counters.add(examined, rows);
    }

    /// Where the next stretch begins; none when this was the last.
    fn end_stretch(&mut self) -> Option<i64> {
        self.counters.add(std::mem::take(&mut self.left), 0);
        self.stretches.pop_front();
        let next = self.stretches.front()?;
        self.left = next.records;
        Some(next.range.from_ms())
    }
}
