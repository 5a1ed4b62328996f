//! The table of export jobs, with their parts, and the rights of workers to them.
//!
//! Every method that ends a job writes its notices into the outbox in the same transaction, erases the key that was
//! kept for them with the job, and lets go of what the job had pinned. What a worker writes is fenced: with a [`Claim`]
//! that no longer holds, nothing happens and the answer says so. Whose turn it is, is decided in `app`.

use crate::audit::AuditEntry;
use crate::dataset::Dataset;
use crate::export_job::{
    Claim, ExportJob, ExportPart, JobError, JobFile, JobInLine, JobProgress, JobSnapshot, JobState, Lease,
    Sight,
};
use crate::ports::{NewNotification, SnapshotScope};
use crate::tenant::TenantName;
use crate::time_range::TimeRange;
use async_trait::async_trait;
use std::ops::Range;
use tollbook_kit::fault::Fault;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use uuid::Uuid;

/// How long a request's idempotency key is remembered, in milliseconds (`natalia.md` section 9).
pub const IDEMPOTENCY_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// A key by which a caller marks repetitions of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Keys of other credentials are others.
    pub credential: Uuid,
    /// So are those of other paths.
    pub path: String,
    /// What the caller chose, 1 to 255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of the request's JSON value in RFC 8785 form.
    pub request: [u8; 32],
}

/// What came of an order.
#[derive(Debug, Clone)]
pub enum Ordered {
    /// The job is there.
    New,
    /// The same order came before under the same key: this is its job.
    Before(Box<ExportJob>),
    /// Another order came before under the same key. Nothing was made.
    OtherRequest,
    /// So many jobs wait that the limit is reached. Nothing was made.
    QueueIsFull,
}

/// Which jobs to list. Newest first; of the same millisecond by falling id.
#[derive(Debug, Clone)]
pub struct JobFilter {
    /// Whose.
    pub tenant: TenantName,
    /// Of which datasets; any of them.
    pub datasets: Vec<Dataset>,
    /// In which states; empty: in any.
    pub states: Vec<JobState>,
    /// Ordered by which dialects; empty: by any.
    pub dialects: Vec<String>,
    /// Ordered at or after.
    pub created_from_ms: i64,
    /// Ordered before.
    pub created_to_ms: i64,
    /// Only jobs behind this one, given by its time and id.
    pub behind: Option<(i64, Uuid)>,
    /// Most jobs.
    pub limit: usize,
}

/// How a job ends while somebody works on it.
#[derive(Debug, Clone)]
pub enum JobEnd {
    /// Its files are whole and durable.
    Ready {
        /// The files.
        files: Vec<JobFile>,
        /// Their signed manifest, if one was asked for.
        manifest: Option<Secret<String>>,
        /// When they are removed, in milliseconds.
        expires_at_ms: i64,
    },
    /// Given up.
    Failed(JobError),
}

/// The parts of a file that hold a range of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsOfRange {
    /// The parts, in order, without their states.
    pub parts: Vec<ExportPart>,
    /// Bytes of the file before the first of them.
    pub before: u64,
    /// Bytes of the whole file, as far as there are parts of it.
    pub whole: u64,
}

/// A part of a job that has ended without files, or whose files are gone: its bytes can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftoverPart {
    /// The job.
    pub job: Uuid,
    /// Its place.
    pub number: u32,
    /// Key of its object.
    pub path: Option<String>,
}

/// Jobs in the control database.
#[async_trait]
pub trait ExportJobs: Send + Sync {
    /// Takes an order: a job that is queued. Counting the jobs that wait, looking the key up and making the job are one
    /// transaction; keys older than [`IDEMPOTENCY_KEPT_MS`] are forgotten in it.
    ///
    /// # Errors
    /// `conflict` when the tenant is closed or unknown; `storage_full`, `unavailable` or `internal`.
    async fn order(
        &self,
        job: ExportJob,
        most_queued: u32,
        key: Option<IdempotencyKey>,
        audit: AuditEntry,
    ) -> Result<Ordered, Fault>;

    /// What an order with this key would be answered if one came before with it and is still remembered at `now_ms`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn ordered_before(&self, key: &IdempotencyKey, now_ms: i64) -> Result<Option<Ordered>, Fault>;

    /// The job of that id, whosever it is.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, id: Uuid) -> Result<Option<ExportJob>, Fault>;

    /// Lists jobs. One that cannot be read is left out, and the log says so.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self, filter: &JobFilter) -> Result<Vec<ExportJob>, Fault>;

    /// Changes the caller's own name for a job. False if the tenant has no such job.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn rename(
        &self,
        tenant: &TenantName,
        id: Uuid,
        reference: Option<String>,
        audit: AuditEntry,
    ) -> Result<bool, Fault>;

    /// Every job that is queued or running, of all tenants, oldest first.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn in_line(&self) -> Result<Vec<JobInLine>, Fault>;

    /// Takes a job that was seen in line: it is running, its attempt counted unless it goes on with one, its generation
    /// the next one, and the lease holds. None when it was taken, or ended, since it was seen.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn claim(
        &self,
        seen: Claim,
        lease: Lease,
        now_ms: i64,
    ) -> Result<Option<(Claim, ExportJob)>, Fault>;

    /// Ends the leases of every other owner: the processes that had them are gone.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn disown_others(&self, owner: Uuid) -> Result<(), Fault>;

    /// Fixes what a job sees: all that is live of `scope` and may lie in the range is read and pinned for the job, in one
    /// transaction; it stays readable, though compaction or retention replace it, until the job ends. If it was
    /// fixed by an earlier attempt, that one is answered. None when the claim no longer holds.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn pin(
        &self,
        claim: Claim,
        scope: &SnapshotScope,
        range: TimeRange,
        now_ms: i64,
    ) -> Result<Option<(JobSnapshot, Sight)>, Fault>;

    /// The same for rows that the use case hands over: keeps what was seen, unless an earlier attempt kept it.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn keep_sight(&self, claim: Claim, seen: JobSnapshot) -> Result<Option<JobSnapshot>, Fault>;

    /// Shows life: the lease holds anew, and progress is told. Percent never falls. False when the claim no longer holds.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn heartbeat(&self, claim: Claim, lease: Lease, progress: JobProgress) -> Result<bool, Fault>;

    /// Keeps a part whose object is durable. False when the claim no longer holds.
    ///
    /// # Errors
    /// `conflict` when it does not follow the parts there are; `storage_full`, `unavailable` or `internal`.
    async fn keep_part(&self, claim: Claim, part: ExportPart) -> Result<bool, Fault>;

    /// The parts that are kept of a job, in order. Without their states when it has ended.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn parts(&self, job: Uuid) -> Result<Vec<ExportPart>, Fault>;

    /// Those of the parts that hold bytes of this range of the file: a file may have ten thousand parts, and readers
    /// read in ranges.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn parts_of_range(&self, job: Uuid, range: Range<u64>) -> Result<PartsOfRange, Fault>;

    /// Forgets the parts of a job that cannot be gone on with. Their objects are then named by nobody. False when the
    /// claim no longer holds.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn start_over(&self, claim: Claim) -> Result<bool, Fault>;

    /// Lets a job go for another attempt, after a rest. An attempt that was broken off by the stop of the process
    /// does not count: the next claim goes on with it, under its number. False when the claim no longer holds.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn let_go(&self, claim: Claim, rest: Option<Pending>, counts: bool) -> Result<bool, Fault>;

    /// Ends a job that somebody works on, with its notices. False when the claim no longer holds.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn end(
        &self,
        claim: Claim,
        end: JobEnd,
        at_ms: i64,
        notices: Vec<NewNotification>,
    ) -> Result<bool, Fault>;

    /// Fails a job that was seen in line and cannot be read, such as after a step back to an older version. Nobody is
    /// told, as nobody can be read either. False when it was taken, or ended, since it was seen.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn fail_unread(&self, seen: Claim, error: JobError, at_ms: i64) -> Result<bool, Fault>;

    /// Cancels a job that has not ended, with its notices. False when it has, or the tenant has no such job.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn cancel(
        &self,
        tenant: &TenantName,
        id: Uuid,
        at_ms: i64,
        notices: Vec<NewNotification>,
        audit: AuditEntry,
    ) -> Result<bool, Fault>;

    /// Takes the files of a ready job back: it is expired. By a user with an entry, by age without. False when it was not
    /// ready, or the tenant has no such job.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn expire(&self, tenant: &TenantName, id: Uuid, audit: Option<AuditEntry>) -> Result<bool, Fault>;

    /// Removes a job that is in one of these states, with what it had pinned, what is still to be told of it and the keys
    /// by which its order is known; its parts are leftovers. False when it is in none of them, or the tenant has no
    /// such job.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn remove(
        &self,
        tenant: &TenantName,
        id: Uuid,
        states: &[JobState],
        audit: AuditEntry,
    ) -> Result<bool, Fault>;

    /// Ready jobs whose files are due to be removed, at most `limit`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn due_to_expire(&self, now_ms: i64, limit: usize) -> Result<Vec<(TenantName, Uuid)>, Fault>;

    /// Parts whose objects can be erased: of jobs that failed, were cancelled, expired or were removed. At most `limit`,
    /// in the order of jobs and numbers, and only those behind this one, given by its job and number.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn leftovers(&self, behind: Option<(Uuid, u32)>, limit: usize) -> Result<Vec<LeftoverPart>, Fault>;

    /// Forgets leftover parts whose objects are gone.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn forget_parts(&self, parts: &[LeftoverPart]) -> Result<(), Fault>;

    /// Forgets jobs that ended before then and have no parts any more; answers how many.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn forget_ended_before(&self, before_ms: i64) -> Result<u64, Fault>;

    /// Ends everything of a tenant whose time is over, without notices: what has not ended is cancelled, what is ready
    /// expires, what is still to be told is not told. Answers how many jobs were ended.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn end_all(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault>;
}
