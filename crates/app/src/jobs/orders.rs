//! Orders: what is checked before a job is made, and how it is made.

use super::Jobs;
use super::view::JobView;
use crate::exports::in_words;
use crate::faults::{all_right, invalid};
use std::time::Duration;
use tollbook_kit::fault::{Code, Detail, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::access::Caller;
use tollbook_model::export::ExportQuery;
use tollbook_model::export_job::{
    ExportJob, FileKeeping, JobContacts, JobOrder, JobOwner, JobProgress, JobState, REFERENCE_CHARACTERS,
};
use tollbook_model::ports::{IdempotencyKey, Ordered};
use tollbook_model::tenant::Tenant;
use uuid::Uuid;

/// When asking again makes sense while too many jobs wait.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// Longest idempotency key.
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 1..=255;

/// An order, as a dialect decoded it.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What is exported.
    pub order: JobOrder,
    /// The dialect.
    pub dialect: &'static str,
    /// The caller's own name for the job, at most 100 characters.
    pub external_reference: Option<String>,
    /// Whom the job tells of its end.
    pub contacts: JobContacts,
    /// How long its files are kept.
    pub keeping: FileKeeping,
    /// What the dialect keeps with it for itself.
    pub dialect_note: Option<Secret<String>>,
    /// With what the call of its end can be signed where the tenant has no secret for that; kept until the job ends.
    pub callback_key: Option<Secret<String>>,
    /// How repetitions of the order are known, if the caller wants that.
    pub idempotency: Option<Idempotency>,
}

/// By what repetitions of a request are known.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The path: keys of other paths are others.
    pub path: String,
    /// The caller's key, 1 to 255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of the request's JSON value in RFC 8785 form.
    pub request: [u8; 32],
}

/// The job of an order.
#[derive(Debug, Clone)]
pub struct OrderedJob {
    /// The job.
    pub view: JobView,
    /// Was it made by the same order before?
    pub replayed: bool,
}

impl Jobs {
    /// Takes an order. The job is durable when it is answered; the work follows. A repeated order is answered with the
    /// first one's job, whatever has become of its contacts since.
    ///
    /// # Errors
    /// `forbidden`; `gone` when the tenant's time to export is over; `invalid`, naming every wrong contact and reference;
    /// `too_many` when as many jobs wait as the tenant's quota allows, or too much is still to be told; `key_reused` when
    /// another order came under the same key; `storage_full`, `unavailable` or `internal`.
    pub async fn order(&self, caller: &Caller, new: NewJob) -> Result<OrderedJob, Fault> {
        self.permit(caller, new.order.query.selection.dataset).await?;
        let tenant = self.tenants.exportable(caller).await?;
        let key = new.idempotency.as_ref().map(|idempotency| key_of(caller, idempotency));
        if let Some(key) = &key
            && let Some(Ordered::Before(job)) = self.port.ordered_before(key, self.clock.now_ms()).await?
        {
            return Ok(OrderedJob { view: self.view(&tenant, *job), replayed: true });
        }
        let mut faults = self.notices.check(&tenant.name, new.dialect, &new.contacts).await?;
        faults.extend(new.external_reference.as_deref().and_then(reference_fault));
        faults.extend(new.idempotency.as_ref().and_then(key_fault));
        all_right(faults)?;
        self.notices.require_room(&tenant.name, &new.contacts).await?;
        let (id, query) = (self.ids.next_id(), new.order.query.clone());
        let rows_estimated = self.rows_estimated(&tenant, query, id).await?;
        let job = self.queued(caller, new, id, rows_estimated);
        let entry = self.entry(caller, "export.create", id).because(&in_words(&job.order.query));
        match self.port.order(job.clone(), tenant.quota.queued_jobs, key, entry).await? {
            Ordered::New => {
                self.running.ring();
                let view = self.view(&tenant, self.in_queue(job).await);
                Ok(OrderedJob { view, replayed: false })
            }
            Ordered::Before(job) => Ok(OrderedJob { view: self.view(&tenant, *job), replayed: true }),
            Ordered::OtherRequest => Err(Fault::new(
                Code::KeyReused,
                "this idempotency key came before with another request; choose another key",
            )),
            Ordered::QueueIsFull => Err(Fault::new(
                Code::TooMany,
                "as many exports wait as the tenant may have waiting; order again when some are done",
            )
            .with_retry_after(TRY_AGAIN)),
        }
    }

    /// What is wrong with the contacts of a job that this dialect would order: for dialects that name all faults of a
    /// request in one answer, theirs among them.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn contact_faults(
        &self,
        caller: &Caller,
        dialect: &str,
        contacts: &JobContacts,
    ) -> Result<Vec<Detail>, Fault> {
        self.notices.check(&caller.tenant, dialect, contacts).await
    }

    /// What is wrong with a caller's own name for a job; for the same dialects.
    pub fn reference_fault(&self, reference: &str) -> Option<Detail> {
        reference_fault(reference)
    }

    /// About how many rows the job will have. That is no reason to refuse it: storage that fails now may be read later, by
    /// one of the job's attempts, and if not, whoever is to be told is told.
    async fn rows_estimated(&self, tenant: &Tenant, query: ExportQuery, job: Uuid) -> Result<u64, Fault> {
        match self.desk.estimate(tenant, query, job).await {
            Ok(estimate) => Ok(estimate.rows),
            Err(fault) if matches!(fault.code(), Code::Internal | Code::Unavailable) => {
                let fault = fault.log_text();
                tracing::warn!(%job, fault, "the rows of a new export cannot be estimated; it is queued all the same");
                Ok(0)
            }
            Err(fault) => Err(fault),
        }
    }

    fn queued(&self, caller: &Caller, new: NewJob, id: Uuid, rows_estimated: u64) -> ExportJob {
        ExportJob {
            id,
            tenant: caller.tenant.clone(),
            dialect: new.dialect.to_owned(),
            order: new.order,
            owner: JobOwner {
                credential: caller.credential,
                actor: caller.actor.to_string(),
                role: caller.role,
            },
            external_reference: new.external_reference,
            contacts: new.contacts,
            keeping: new.keeping,
            dialect_note: new.dialect_note,
            callback_key: new.callback_key,
            state: JobState::Queued,
            created_at_ms: self.clock.now_ms(),
            started_at_ms: None,
            finished_at_ms: None,
            snapshot: None,
            expires_at_ms: None,
            attempt: 0,
            progress: JobProgress { rows_estimated, ..JobProgress::default() },
            queue_position: None,
            files: Vec::new(),
            manifest: None,
            error: None,
        }
    }

    /// The new job as it was made, with its place in the queue, even if it has left that already; without one when it cannot
    /// be looked up. The order is durable all the same.
    async fn in_queue(&self, job: ExportJob) -> ExportJob {
        let queue_position = match self.port.find(job.id).await {
            Ok(stored) => stored.and_then(|stored| stored.queue_position).or(Some(1)),
            Err(fault) => {
                let fault = fault.log_text();
                tracing::warn!(job = %job.id, fault, "the place of a new export in the queue cannot be told");
                None
            }
        };
        ExportJob { queue_position, ..job }
    }
}

/// What is wrong with a caller's own name for a job.
pub(super) fn reference_fault(reference: &str) -> Option<Detail> {
    let reason = || format!("must be at most {REFERENCE_CHARACTERS} characters");
    (reference.chars().count() > REFERENCE_CHARACTERS).then(|| invalid("external_reference", reason()))
}

fn key_of(caller: &Caller, idempotency: &Idempotency) -> IdempotencyKey {
    IdempotencyKey {
        credential: caller.credential,
        path: idempotency.path.clone(),
        key: idempotency.key.clone(),
        request: idempotency.request,
    }
}

fn key_fault(idempotency: &Idempotency) -> Option<Detail> {
    let key = &idempotency.key;
    let fits = KEY_CHARACTERS.contains(&key.len()) && key.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
    (!fits).then(|| invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters"))
}
