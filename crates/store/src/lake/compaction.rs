//! Compaction: moves journal batches into parts of the lake and merges parts, each step one swap in the manifest.
//!
//! What to do is decided in `plan`; a step that fails or loses a race leaves only garbage, which the sweep erases.

use super::fresh_rows::{Collected, FreshRows};
use super::merge::Merge;
use super::part_output::PartOutput;
use super::settle::SettledCounts;
use super::snapshots::{PinnedSnapshot, SnapshotReader};
use super::{plan, rounds};
use crate::blob::Blobs;
use crate::config::{ROUND_STEPS, StoreConfig};
use bytes::Bytes;
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tollbook_columns::batch_codec::{decode_batch, with_sequences};
use tollbook_columns::layout::STORED_COLUMNS;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, StopToken, Supervisor};
use tollbook_model::ports::{Manifest, ManifestBatch, ManifestPart, NewPart, Replacement, SnapshotScope};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// What compaction has done since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactionStatus {
    /// Rounds over all tenants and datasets.
    pub rounds: u64,
    /// When the last round ended, in milliseconds; none before the first.
    pub last_round_at_ms: Option<i64>,
    /// Did the last round leave work to the next one, which begins soon?
    pub work_left: bool,
    /// Batches moved into the lake.
    pub batches: u64,
    /// Parts that were replaced.
    pub parts_merged: u64,
    /// Parts written and published.
    pub parts_written: u64,
    /// Records in them.
    pub rows_written: u64,
    /// Repetitions settled.
    pub settled: SettledCounts,
    /// Swaps that lost a race; their work was thrown away.
    pub lost_races: u64,
    /// Public text of the last fault, until a round goes well.
    pub last_fault: Option<String>,
}

/// What compaction needs of the outside.
pub struct CompactionParts {
    /// Knobs.
    pub config: Arc<StoreConfig>,
    /// The manifest's tables.
    pub manifest: Arc<dyn Manifest>,
    /// Where parts are written.
    pub blobs: Arc<dyn Blobs>,
    /// What is read.
    pub snapshots: SnapshotReader,
    /// Makes ids of parts.
    pub ids: IdSource,
    /// Decides what is old and which days are over.
    pub clock: Arc<dyn Clock>,
}

/// The compaction of all tenants and datasets. Clones share one status and take turns.
#[derive(Clone)]
pub struct Compaction {
    shared: Arc<Shared>,
}

struct Shared {
    parts: CompactionParts,
    status: Mutex<CompactionStatus>,
    turn: tokio::sync::Mutex<()>,
}

impl Compaction {
    /// Compaction that does nothing until it is asked or started.
    pub fn new(parts: CompactionParts) -> Self {
        let shared = Shared { parts, status: Mutex::default(), turn: tokio::sync::Mutex::new(()) };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the task `compaction`, which looks again when `bell` is rung with `notify_waiters`.
    pub fn start(&self, bell: Arc<Notify>, supervisor: &Supervisor) {
        let (this, stop) = (self.clone(), supervisor.stop_token());
        let rhythm = self.shared.parts.config.compaction_rounds;
        let task = async move {
            let round = || async {
                let done = this.round(false, &stop).await;
                if this.status().work_left {
                    bell.notify_waiters();
                }
                done
            };
            rounds::run("compaction", rhythm, Some(bell.clone()), stop.clone(), round).await
        };
        supervisor.spawn("compaction", OnError::Log, task);
    }

    /// What it has done.
    pub fn status(&self) -> CompactionStatus {
        self.shared.status().clone()
    }

    /// Compacts all that is there now and merges every day as far as it goes, however little and young it is.
    ///
    /// # Errors
    /// The first fault of any tenant or dataset; the others were compacted all the same.
    pub async fn compact_now(&self) -> Result<(), Fault> {
        self.round(true, &StopToken::new()).await
    }

    async fn round(&self, force: bool, stop: &StopToken) -> Result<(), Fault> {
        let _turn = self.shared.turn.lock().await;
        self.shared.status().work_left = false;
        let (mut first_fault, mut work_left) = (None, false);
        let scopes = self.shared.parts.manifest.scopes().await?;
        let mut waiting: VecDeque<Work> =
            scopes.into_iter().map(|scope| Work { scope, force, until: None, steps: 0 }).collect();
        // One step each in turn: who has much to do, as after a load of years, keeps nobody waiting longer than that.
        while let Some(mut work) = waiting.pop_front() {
            if stop.is_cancelled() {
                break;
            }
            match self.shared.next_step(&mut work).await {
                Ok(true) if force || work.steps < ROUND_STEPS => waiting.push_back(work),
                Ok(true) => work_left = true,
                Ok(false) => {}
                // One tenant's trouble is not another's.
                Err(fault) => {
                    let Work { scope, .. } = work;
                    let fault =
                        fault.with_context(format!("compacting {} of {}", scope.dataset, scope.tenant));
                    first_fault.get_or_insert(fault);
                }
            }
        }
        let mut status = self.shared.status();
        status.rounds += 1;
        status.work_left = work_left;
        status.last_round_at_ms = Some(self.shared.parts.clock.now_ms());
        status.last_fault = first_fault.as_ref().map(|fault| fault.message().to_owned());
        first_fault.map_or(Ok(()), Err)
    }
}

/// What a round has to do for one tenant and dataset.
struct Work {
    scope: SnapshotScope,
    force: bool,
    /// The watermark at its first step: what arrives meanwhile does not keep the round going for ever.
    until: Option<u64>,
    steps: usize,
}

/// One step: what is read, and what of it goes.
struct Step {
    snapshot: PinnedSnapshot,
    batches: Vec<ManifestBatch>,
    contents: Vec<Bytes>,
    /// Parts to merge when there are no batches.
    parts: Vec<ManifestPart>,
}

/// What a step has written.
#[derive(Default)]
struct Outcome {
    old_parts: Vec<Uuid>,
    new_parts: Vec<NewPart>,
    settled: SettledCounts,
}

impl Shared {
    fn status(&self) -> std::sync::MutexGuard<'_, CompactionStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one step, if one is due.
    async fn next_step(&self, work: &mut Work) -> Result<bool, Fault> {
        let snapshot = self.parts.snapshots.pin(&work.scope, TimeRange::all()).await?;
        let until = *work.until.get_or_insert(snapshot.watermark);
        let now_ms = self.parts.clock.now_ms();
        let old = snapshot.batches.partition_point(|batch| batch.first_sequence <= until);
        let due = plan::due_batches(&snapshot.batches[..old], &self.parts.config, now_ms, work.force);
        let batches = due.to_vec();
        let ids: Vec<Uuid> = batches.iter().map(|batch| batch.id).collect();
        let contents = snapshot.batches(&ids).await?;
        let mut parts = Vec::new();
        if batches.is_empty() {
            let config = &self.parts.config;
            let sealed = plan::seal(&snapshot.parts, &snapshot.batches, config, now_ms, work.force);
            let Some(sealed) = sealed else { return Ok(false) };
            parts.extend(sealed.into_iter().cloned());
        }
        self.take_step(&work.scope, Step { snapshot, batches, contents, parts }).await?;
        work.steps += 1;
        Ok(true)
    }

    async fn take_step(&self, scope: &SnapshotScope, step: Step) -> Result<(), Fault> {
        let batches: Vec<Uuid> = step.batches.iter().map(|batch| batch.id).collect();
        let (blobs, ids) = (Arc::clone(&self.parts.blobs), self.parts.ids.clone());
        let config = Arc::clone(&self.parts.config);
        let writing =
            tokio::task::spawn_blocking(move || Writing { blobs, ids, config, step: &step }.write());
        let outcome = writing.await.fault("waiting for parts to be written")??;
        let paths: Vec<String> = outcome.new_parts.iter().map(|new| new.part.path.clone()).collect();
        let (written, rows) =
            (outcome.new_parts.len() as u64, outcome.new_parts.iter().map(|new| new.part.rows).sum::<u64>());
        let (batch_count, merged) = (batches.len() as u64, outcome.old_parts.len() as u64);
        let swapped = self
            .parts
            .manifest
            .replace(Replacement {
                scope: scope.clone(),
                batches,
                old_parts: outcome.old_parts,
                new_parts: outcome.new_parts,
                at_ms: self.parts.clock.now_ms(),
            })
            .await?;
        if !swapped {
            self.status().lost_races += 1;
            return self.erase(paths).await;
        }
        let settled = outcome.settled;
        tracing::info!(
            tenant = %scope.tenant, dataset = %scope.dataset, batches = batch_count, merged, written, rows,
            duplicates = settled.duplicates, revisions = settled.revisions, "compacted"
        );
        let mut status = self.status();
        status.batches += batch_count;
        status.parts_merged += merged;
        status.parts_written += written;
        status.rows_written += rows;
        status.settled += settled;
        Ok(())
    }

    async fn erase(&self, paths: Vec<String>) -> Result<(), Fault> {
        let blobs = Arc::clone(&self.parts.blobs);
        tokio::task::spawn_blocking(move || paths.iter().try_for_each(|path| blobs.delete(path)))
            .await
            .fault("waiting for useless parts to be erased")?
    }
}

/// The blocking side of a step.
struct Writing<'s> {
    blobs: Arc<dyn Blobs>,
    ids: IdSource,
    config: Arc<StoreConfig>,
    step: &'s Step,
}

impl Writing<'_> {
    fn write(&self) -> Result<Outcome, Fault> {
        let mut outcome = Outcome::default();
        if self.step.batches.is_empty() {
            if let Some(day) = self.step.parts.first().map(|part| part.day) {
                self.write_day(day, None, self.step.parts.clone(), &mut outcome)?;
            }
            return Ok(outcome);
        }
        for (day, fresh) in self.fresh_days(&mut outcome.settled)? {
            let of_day: Vec<&ManifestPart> =
                self.step.snapshot.parts.iter().filter(|part| part.day == day).collect();
            let chosen = plan::tier_merge(&of_day, fresh.rows() as u64, &self.config);
            let merged = chosen.into_iter().map(|at| of_day[at].clone()).collect();
            self.write_day(day, Some(fresh), merged, &mut outcome)?;
        }
        Ok(outcome)
    }

    fn fresh_days(&self, counts: &mut SettledCounts) -> Result<BTreeMap<i32, FreshRows>, Fault> {
        let columns: Vec<usize> = (0..STORED_COLUMNS).collect();
        let mut collected = Collected::default();
        for (batch, bytes) in self.step.batches.iter().zip(&self.step.contents) {
            let records = decode_batch(bytes, &columns)?;
            if records.num_rows() as u64 != batch.rows {
                return Err(Fault::internal(
                    "a journal batch holds another number of records than its row says",
                ));
            }
            collected.push(with_sequences(records, batch.first_sequence)?)?;
        }
        FreshRows::by_day(collected.finish()?, counts)
    }

    fn write_day(
        &self,
        day: i32,
        fresh: Option<FreshRows>,
        merged: Vec<ManifestPart>,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let inputs_unsettled = merged.iter().any(|part| part.unsettled)
            || (fresh.is_some()
                && self.step.batches.iter().any(|batch| batch.unsettled && plan::touches_day(batch, day)));
        let output = PartOutput {
            blobs: self.blobs.as_ref(),
            ids: &self.ids,
            scope: self.step.snapshot.scope(),
            day,
            part_rows: self.config.part_rows,
        };
        let mut merge = Merge::new(&self.blobs, fresh, &merged);
        let mut written = output.write_all(|| merge.next_piece())?;
        if inputs_unsettled {
            self.mark_unsettled(day, &merged, &mut written);
        }
        outcome.settled += merge.counts();
        outcome.old_parts.extend(merged.into_iter().map(|part| part.id));
        outcome.new_parts.extend(written);
        Ok(())
    }

    /// Marks those new parts that may still repeat or supersede records of what was not merged with them.
    fn mark_unsettled(&self, day: i32, merged: &[ManifestPart], written: &mut [NewPart]) {
        let snapshot = &self.step.snapshot;
        let taken: FxHashSet<Uuid> = self.step.batches.iter().map(|batch| batch.id).collect();
        let gone = |part: &ManifestPart| merged.iter().any(|one| one.id == part.id);
        for new in written {
            let parts = snapshot.parts.iter().filter(|part| part.day == day && !gone(part));
            let batches = snapshot.batches.iter().filter(|batch| !taken.contains(&batch.id));
            new.part.unsettled =
                plan::id_span(&new.part).is_none_or(|span| plan::stays_unsettled(span, parts, batches));
        }
    }
}
