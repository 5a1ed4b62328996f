//! The one committer: takes what waits, makes it durable in one transaction, answers everybody.
//!
//! While one group is being appended the next one gathers by itself, so a lone request never waits for company.

use super::group::{self, Placement, PreparedGroup};
use super::recent_ids::RecentIds;
use super::submission::{Submission, Submitted, Waiting};
use crate::blob::{Blobs, storage_full};
use crate::config::StoreConfig;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::StopToken;
use tollbook_model::ports::{BatchContent, Committed, Journal, NewBatch, SnapshotScope};
use uuid::Uuid;

/// What the committer works with.
pub(super) struct Committer {
    pub(super) config: Arc<StoreConfig>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) recent: Arc<RecentIds>,
    pub(super) ids: IdSource,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bell: Arc<Notify>,
}

impl Committer {
    /// Runs until `stop`, then commits what still waits and returns.
    ///
    /// # Errors
    /// `internal` when an object could not be made durable: after a failed fsync the process cannot be trusted.
    pub(super) async fn run(
        self,
        mut queue: mpsc::Receiver<Submission>,
        stop: StopToken,
    ) -> Result<(), Fault> {
        let mut last_group = 1;
        loop {
            let first = tokio::select! {
                first = queue.recv() => first,
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            let Some(first) = first else { return Ok(()) };
            let group = self.gather(first, &mut queue, last_group).await;
            last_group = group.len();
            self.commit(group).await?;
        }
    }

    /// All that waits already; and if requests came together last time, those that are just about to arrive.
    async fn gather(
        &self,
        first: Submission,
        queue: &mut mpsc::Receiver<Submission>,
        last_group: usize,
    ) -> Vec<Submission> {
        let mut rows = first.rows;
        let mut group = vec![first];
        let deadline = tokio::time::Instant::now() + self.config.gather;
        while rows < self.config.group_rows {
            let next = match queue.try_recv() {
                Ok(next) => next,
                Err(_) if group.len() >= last_group => break,
                Err(_) => match tokio::time::timeout_at(deadline, queue.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => break,
                },
            };
            rows += next.rows;
            group.push(next);
        }
        group
    }

    async fn commit(&self, group: Vec<Submission>) -> Result<(), Fault> {
        let mut waiting = Vec::with_capacity(group.len());
        let mut submitted = Vec::with_capacity(group.len());
        for submission in group {
            match submission.part().await {
                (waits, Ok(ready)) => {
                    waiting.push(waits);
                    submitted.push(ready);
                }
                (waits, Err(fault)) => refuse(vec![waits], &fault),
            }
        }
        let days: Vec<(SnapshotScope, Vec<i32>)> =
            submitted.iter().map(|one| (one.scope.clone(), one.days.clone())).collect();
        match self.store(submitted).await {
            Ok((group, first_sequences)) => {
                // Nobody else looks ids up before this returns, so that the answers need not wait for the notes.
                answer(waiting, &group.placements, &first_sequences);
                self.bell.notify_waiters();
                for learnt in group.learnt {
                    for (day, entries) in learnt.by_day {
                        self.recent.remember(&learnt.scope, day, &entries);
                    }
                }
                Ok(())
            }
            Err(failure) => {
                // Whether anything came through is looked up again, not assumed.
                for (scope, days) in &days {
                    self.recent.forget(scope, days);
                }
                refuse(waiting, &failure.fault);
                if failure.is_fatal { Err(failure.fault) } else { Ok(()) }
            }
        }
    }

    async fn store(
        &self,
        submitted: Vec<Submitted>,
    ) -> Result<(PreparedGroup, FxHashMap<Uuid, u64>), Failure> {
        let (recent, ids) = (Arc::clone(&self.recent), self.ids.clone());
        let (blobs, config) = (Arc::clone(&self.blobs), Arc::clone(&self.config));
        let now_ms = self.clock.now_ms();
        let prepared = tokio::task::spawn_blocking(move || {
            let mut group = group::prepare(&submitted, &recent, &ids, now_ms)?;
            put_large(&mut group.batches, blobs.as_ref(), &config)?;
            Ok::<_, Failure>(group)
        });
        let mut group = prepared.await.fault("waiting for a group to be prepared")??;
        let batches = std::mem::take(&mut group.batches);
        if batches.is_empty() {
            return Ok((group, FxHashMap::default()));
        }
        let appended = self.journal.append(batches).await?;
        Ok((group, appended.into_iter().map(|batch| (batch.id, batch.first_sequence)).collect()))
    }
}

/// Why a group was not stored, and whether the process can go on.
struct Failure {
    fault: Fault,
    is_fatal: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, is_fatal: false }
    }
}

/// Large batches become objects, durable before the row that names them.
fn put_large(batches: &mut [NewBatch], blobs: &dyn Blobs, config: &StoreConfig) -> Result<(), Failure> {
    if blobs.free_bytes()? < config.reserve_bytes {
        return Err(storage_full().into());
    }
    for batch in batches {
        let BatchContent::Inline(bytes) = &batch.content else { continue };
        if bytes.len() < config.object_from_bytes {
            continue;
        }
        let path = batch_path(batch);
        blobs
            .put(&path, bytes)
            .map_err(|fault| Failure { is_fatal: fault.code() == Code::Internal, fault })?;
        batch.content = BatchContent::Object(path);
    }
    Ok(())
}

fn batch_path(batch: &NewBatch) -> String {
    format!("journal/{}/tenant={}/{}.arrow", batch.dataset, batch.tenant, batch.id)
}

/// The one cause is logged once; everybody gets its public text.
fn refuse(waiting: Vec<Waiting>, fault: &Fault) {
    tracing::error!(requests = waiting.len(), fault = fault.log_text(), "records were refused");
    for waits in waiting {
        let told =
            Fault::new(fault.code(), fault.message().to_owned()).with_context("the group commit failed");
        // Nobody listens any more where the client is gone.
        let _gone = waits.answer.send(Err(told));
    }
}

fn answer(waiting: Vec<Waiting>, placements: &[Placement], first_sequences: &FxHashMap<Uuid, u64>) {
    for (waits, placement) in waiting.into_iter().zip(placements) {
        let first = match placement.batch {
            Some((batch, position)) => first_sequences.get(&batch).map(|first| Some(first + position)),
            None => Some(None),
        };
        let told = match first {
            Some(first) => Ok(Committed {
                accepted: waits.rows,
                duplicates: placement.duplicates,
                revisions: placement.revisions,
                sequences: first.map(|first| (first, first + placement.stored - 1)),
            }),
            None => Err(Fault::internal("the journal appended a batch without telling its sequence")),
        };
        let _gone = waits.answer.send(told);
    }
}
