//! An export job: what was ordered, where it is in its life, and what came of it (`natalia.md` sections 1 and 8).
//!
//! Who may order, who works and when is decided in `app`; how jobs are kept is the catalog's business. The table of
//! states is here, once.

mod order;
mod state;

pub use order::JobOrder;
pub use state::JobState;

use crate::actor::Role;
use crate::merkle::Hash;
use crate::ports::Snapshot;
use crate::tenant::TenantName;
use tollbook_kit::secret::Secret;
use uuid::Uuid;

/// Longest reference that a caller may give a job, in characters.
pub const REFERENCE_CHARACTERS: usize = 100;
/// Most people who are told of one job.
pub const MOST_RECIPIENTS: usize = 5;
/// Name under which the manifest of a job's files is fetched.
pub const MANIFEST_FILE: &str = "manifest.jws";

/// Who ordered a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOwner {
    /// The credential: whoever has it may cancel and delete the job.
    pub credential: Uuid,
    /// The actor as the audit log names him.
    pub actor: String,
    /// His role then.
    pub role: Role,
}

/// How long the files of a job are kept once they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKeeping {
    /// As long as the tenant's setting says.
    TenantSetting,
    /// One calendar month: to the same day and time of the next month, or its last day.
    CalendarMonth,
}

impl FileKeeping {
    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::TenantSetting => "tenant-setting",
            Self::CalendarMonth => "calendar-month",
        }
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TenantSetting, Self::CalendarMonth].into_iter().find(|kind| kind.name() == name)
    }
}

/// Whom a job tells of its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobContacts {
    /// The address that is called, if any. It may hold a password, so it is sealed at rest.
    pub callback_url: Option<String>,
    /// People who get mail.
    pub notify_email: Vec<String>,
}

/// What a running job has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSnapshot {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Last sequence number that was seen; of the audit log its last entry; 0 where there is none.
    pub watermark: u64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobProgress {
    /// Records in its file so far.
    pub rows_done: u64,
    /// Records there will be about.
    pub rows_estimated: u64,
    /// Share of the work, 0 to 99; 100 only once the job is ready. Never falls.
    pub percent: u8,
    /// Seconds that are left about; none while nobody can tell.
    pub eta_s: Option<u64>,
}

/// A finished file of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFile {
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its records.
    pub rows: u64,
    /// Its SHA-256.
    pub sha256: Hash,
}

/// Why a job has failed, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// A word, as in the types of `natalia.md` section 13: `storage-full`, `unavailable`, `internal`, `gone`, `timeout`.
    pub code: String,
    /// What went wrong and what to do.
    pub message: String,
    /// Would the same order have a chance now?
    pub retryable: bool,
}

/// A job, as everybody sees it.
#[derive(Debug, Clone)]
pub struct ExportJob {
    /// Its id.
    pub id: Uuid,
    /// Whose records.
    pub tenant: TenantName,
    /// The dialect that ordered it: a word that only dialects understand.
    pub dialect: String,
    /// What is exported.
    pub order: JobOrder,
    /// Who ordered it.
    pub owner: JobOwner,
    /// The caller's own name for it.
    pub external_reference: Option<String>,
    /// Whom it tells of its end.
    pub contacts: JobContacts,
    /// How long its files are kept.
    pub keeping: FileKeeping,
    /// What the dialect keeps with the job for itself, such as settings that only it knows. Sealed at rest.
    pub dialect_note: Option<Secret<String>>,
    /// With what the call of its end can be signed where the tenant has no secret for that: it goes into the notice. Sealed
    /// at rest, and erased when the job ends.
    pub callback_key: Option<Secret<String>>,
    /// Where it is in its life.
    pub state: JobState,
    /// When it was ordered, in milliseconds.
    pub created_at_ms: i64,
    /// When the first attempt began.
    pub started_at_ms: Option<i64>,
    /// When it ended: ready, failed or cancelled.
    pub finished_at_ms: Option<i64>,
    /// What it has seen, once that is fixed.
    pub snapshot: Option<JobSnapshot>,
    /// When its files are removed, once they are there.
    pub expires_at_ms: Option<i64>,
    /// Attempts so far.
    pub attempt: u32,
    /// How far it is.
    pub progress: JobProgress,
    /// How many jobs of the tenant stand before it in the queue, plus one; none once it has left the queue.
    pub queue_position: Option<u64>,
    /// Its files, once it is ready. They stay told after they were removed.
    pub files: Vec<JobFile>,
    /// The signed manifest of its files, a compact JWS; sealed at rest.
    pub manifest: Option<Secret<String>>,
    /// Why it failed.
    pub error: Option<JobError>,
}

/// A stretch of a job's file, kept by itself: the file is its parts one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPart {
    /// Its place, from 0.
    pub number: u32,
    /// Key of its object; none when the stretch is empty, and only the work has come further.
    pub path: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// What the data plane must know to go on behind it. Only the data plane understands it.
    pub state: Vec<u8>,
}

/// The right to work on a job. Whatever a worker writes is refused once somebody else has taken the job over, or the
/// job has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The job.
    pub job: Uuid,
    /// Counts how often it was claimed.
    pub generation: u64,
}

/// Until when a worker has a job, unless it shows life before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The process: every start of the service is another one.
    pub owner: Uuid,
    /// How long it holds from its last sign of life.
    pub holds: tollbook_kit::retry::Pending,
}

/// A job that waits for a worker or has one, in few words: what decides whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInLine {
    /// The job, and how often it was claimed.
    pub claim: Claim,
    /// Whose.
    pub tenant: TenantName,
    /// Queued or running.
    pub state: JobState,
    /// When it was ordered.
    pub created_at_ms: i64,
    /// Records there will be about.
    pub rows_estimated: u64,
    /// Who works on it, if somebody does.
    pub lease: Option<Lease>,
    /// Until when it rests after a failed attempt.
    pub rests: Option<tollbook_kit::retry::Pending>,
}

/// Where the rows of a job come from: what is fixed when it leaves the queue.
#[derive(Debug, Clone)]
pub enum Sight {
    /// Journal and lake, as this snapshot shows them.
    Records(Box<Snapshot>),
    /// Rows that the use case hands over; of the audit log up to this entry.
    Given {
        /// The last entry.
        watermark: u64,
    },
}
