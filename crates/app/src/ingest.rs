//! Records in: bodies in the native form, and bodies of configured sources.
//!
//! A request is one commit: it is answered when its records are durable, or nothing of it was kept. How a body is
//! read is known to the intake and the connectors; unpacking is done before.

use crate::remembered::Remembered;
use crate::rights::Rights;
use crate::sources::unknown_source;
use crate::tenants::TenantDirectory;
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind, ResultExt};
use tollbook_model::access::{Action, Caller};
use tollbook_model::dataset::Dataset;
use tollbook_model::format::RecordForm;
use tollbook_model::ports::{
    ConnectorRegistry, Intake, RecordSink, RejectedRow, RowReport, SourceBody, Sources, StoredBytes,
};
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantName, TenantState};

/// How long a body waits for its turn to be read.
const TURN_PATIENCE: Duration = Duration::from_secs(30);
/// A source's last sign of life is noted at most this often: it would cost a transaction per request.
const SEEN_EVERY: Duration = Duration::from_secs(5);
/// Sources whose notes are counted; with more that send at once, some are noted more often.
const MOST_SEEN: usize = 65_536;
/// How long a tenant's stored bytes are remembered: what arrives meanwhile is how far it can go beyond its quota.
const STORED_BYTES_LIFE: Duration = Duration::from_secs(5);
const MOST_STORED_BYTES: usize = 1024;

/// What happens to the good rows of a body that has bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Nothing is kept.
    #[default]
    Reject,
    /// The good rows are kept, the bad ones reported.
    Skip,
}

/// What became of one body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestOutcome {
    /// Records taken, duplicates and revisions among them.
    pub accepted: u64,
    /// Of these: known already with the same content.
    pub duplicates: u64,
    /// Of these: known already with other content.
    pub revisions: u64,
    /// Rows refused.
    pub rejected: u64,
    /// First sequence number of what was stored; none when nothing was.
    pub first_sequence: Option<u64>,
    /// Last sequence number of what was stored.
    pub last_sequence: Option<u64>,
    /// Reasons of the first refused rows, at most [`RowReport::MOST_REASONS`].
    pub reasons: Vec<RejectedRow>,
}

/// A body of a configured source, unpacked, and what came with it.
#[derive(Debug, Clone)]
pub struct SentBody {
    /// The bytes.
    pub bytes: Bytes,
    /// `Content-Type` as sent.
    pub content_type: Option<String>,
    /// Query parameters of the request, decoded, in order.
    pub query: Vec<(String, String)>,
}

/// Where ingest reads from and writes to.
pub(crate) struct IngestPorts {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) connectors: Arc<dyn ConnectorRegistry>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) stored_bytes: Arc<dyn StoredBytes>,
}

/// Takes records in.
pub struct Ingest {
    rights: Arc<Rights>,
    tenants: Arc<TenantDirectory>,
    intake: Arc<dyn Intake>,
    connectors: Arc<dyn ConnectorRegistry>,
    sources: Arc<dyn Sources>,
    stored_bytes: Arc<dyn StoredBytes>,
    clock: Arc<dyn Clock>,
    readers: Arc<Semaphore>,
    seen: Remembered<(TenantName, String), ()>,
    known_bytes: Remembered<TenantName, u64>,
}

type Read = (Box<dyn RecordSink>, RowReport);

impl Ingest {
    pub(crate) fn new(
        rights: Arc<Rights>,
        tenants: Arc<TenantDirectory>,
        ports: IngestPorts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let readers = Arc::new(Semaphore::new(cores));
        let known_bytes = Remembered::new(clock.clone(), STORED_BYTES_LIFE, MOST_STORED_BYTES);
        let IngestPorts { intake, connectors, sources, stored_bytes } = ports;
        let seen = Remembered::new(clock.clone(), SEEN_EVERY, MOST_SEEN);
        Self { rights, tenants, intake, connectors, sources, stored_bytes, clock, readers, seen, known_bytes }
    }

    /// May the caller post records at all, and does his tenant take any now? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`; `conflict` when the tenant is closing or closed; `storage_full` when it has used up its quota of
    /// stored bytes; `unavailable` or `internal`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.admit(caller).await.map(drop)
    }

    /// The caller's tenant, if it takes records from him now.
    async fn admit(&self, caller: &Caller) -> Result<Arc<Tenant>, Fault> {
        self.rights.require(caller, Action::PostRecords).await?;
        let tenant = self.tenants.of(caller).await?;
        if tenant.state != TenantState::Open {
            return Err(Fault::new(
                Code::Conflict,
                "the tenant is closing and takes no more records; stop sending, exports still work",
            ));
        }
        let Some(quota) = tenant.quota.stored_bytes else { return Ok(tenant) };
        let look_up = async { self.stored_bytes.stored_bytes(&tenant.name).await.map(Some) };
        let stored = self.known_bytes.find(tenant.name.clone(), look_up).await?;
        if stored.is_none_or(|bytes| bytes < quota) {
            return Ok(tenant);
        }
        let words = format!(
            "the tenant has used up its quota of {quota} stored bytes (the disk itself is not full); \
             the operator of this instance can raise stored_bytes, exports still work"
        );
        Err(Fault::new(Code::StorageFull, words))
    }

    /// Takes in records in the native form.
    ///
    /// # Errors
    /// As [`Ingest::permit`]; `invalid` for a body that cannot be read, or (with [`OnError::Reject`]) has a bad row; then,
    /// and with `storage_full`, `unavailable` and `internal`, nothing was kept.
    pub async fn native(
        &self,
        caller: &Caller,
        form: RecordForm,
        body: Bytes,
        on_error: OnError,
    ) -> Result<IngestOutcome, Fault> {
        let tenant = self.admit(caller).await?;
        let received_at_ms = self.clock.now_ms();
        let intake = self.intake.clone();
        let read = move || -> Result<Read, Fault> {
            let mut sink = intake.open(&tenant, Dataset::Cdr);
            let report = intake.read_native(form, &body, &tenant, received_at_ms, sink.as_mut())?;
            Ok((sink, report))
        };
        let (sink, report) = self.in_turn(read).await?;
        commit(sink, report, on_error).await
    }

    /// Takes in a body as a configured source sent it.
    ///
    /// # Errors
    /// As [`Ingest::native`]; also `not_found` for a source that does not exist, `conflict` for one that is disabled.
    pub async fn from_source(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        body: SentBody,
        on_error: OnError,
    ) -> Result<IngestOutcome, Fault> {
        let tenant = self.admit(caller).await?;
        let source = self.sources.find(&caller.tenant, pbx_alias).await?.ok_or_else(unknown_source)?;
        if !source.enabled {
            return Err(Fault::new(
                Code::Conflict,
                "the source is disabled; enable it before sending records",
            ));
        }
        let received_at_ms = self.clock.now_ms();
        let (intake, connectors) = (self.intake.clone(), self.connectors.clone());
        let read = move || read_source(&*intake, &*connectors, &source, &tenant, &body, received_at_ms);
        let (sink, report) = self.in_turn(read).await?;
        let outcome = commit(sink, report, on_error).await?;
        self.note_seen(caller, pbx_alias, received_at_ms).await;
        Ok(outcome)
    }

    /// Reads a body on a thread that may be busy for long, with no more bodies at a time than there are cores.
    async fn in_turn(
        &self,
        read: impl FnOnce() -> Result<Read, Fault> + Send + 'static,
    ) -> Result<Read, Fault> {
        let turn = tokio::time::timeout(TURN_PATIENCE, self.readers.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| {
            Fault::new(Code::Unavailable, "too many bodies are waiting to be read; send it again later")
                .with_retry_after(Duration::from_secs(1))
        })?;
        let turn = turn.fault("waiting for a turn to read a body")?;
        let work = move || {
            let outcome = read();
            drop(turn);
            outcome
        };
        tokio::task::spawn_blocking(work).await.fault("reading a body")?
    }

    async fn note_seen(&self, caller: &Caller, pbx_alias: &str, at_ms: i64) {
        let mut due = false;
        let note = async {
            due = true;
            Ok::<_, Infallible>(Some(()))
        };
        let Ok(_) = self.seen.find((caller.tenant.clone(), pbx_alias.to_owned()), note).await;
        if !due {
            return;
        }
        // The records are durable: that this note fails must not make the sender send them again.
        if let Err(fault) = self.sources.seen(&caller.tenant, pbx_alias, at_ms).await {
            tracing::warn!(fault = fault.log_text(), "could not note that a source sent records");
        }
    }
}

fn read_source(
    intake: &dyn Intake,
    connectors: &dyn ConnectorRegistry,
    source: &Source,
    tenant: &Tenant,
    body: &SentBody,
    received_at_ms: i64,
) -> Result<Read, Fault> {
    let connector = connectors.connector(&source.kind).ok_or_else(|| {
        Fault::internal(format!("a source of kind {} that this build does not know", source.kind))
    })?;
    let mut sink = intake.open(tenant, Dataset::Cdr);
    let body = SourceBody {
        bytes: &body.bytes,
        content_type: body.content_type.as_deref(),
        query: &body.query,
        received_at_ms,
    };
    let report = connector.read(source, tenant, &body, sink.as_mut())?;
    Ok((sink, report))
}

async fn commit(
    sink: Box<dyn RecordSink>,
    report: RowReport,
    on_error: OnError,
) -> Result<IngestOutcome, Fault> {
    if report.rejected > 0 && on_error == OnError::Reject {
        return Err(rejected(&report));
    }
    let mut outcome =
        IngestOutcome { rejected: report.rejected, reasons: report.reasons, ..IngestOutcome::default() };
    if sink.rows() > 0 {
        let committed = sink.commit().await?;
        outcome.accepted = committed.accepted;
        outcome.duplicates = committed.duplicates;
        outcome.revisions = committed.revisions;
        outcome.first_sequence = committed.sequences.map(|(first, _)| first);
        outcome.last_sequence = committed.sequences.map(|(_, last)| last);
    }
    Ok(outcome)
}

/// One detail per bad row, and a last one that says what became of the body.
fn rejected(report: &RowReport) -> Fault {
    let malformed = |name: String, reason: String| Detail { name, reason, kind: InvalidKind::MalformedBody };
    let mut details: Vec<Detail> = report
        .reasons
        .iter()
        .map(|row| malformed(format!("line {}", row.line), row.reason.clone()))
        .collect();
    let summary = format!(
        "{} of {} rows are wrong and nothing was stored; correct them, or send on_error=skip to store the others",
        report.rejected, report.rows
    );
    details.push(malformed("body".into(), summary));
    Fault::from_details(details)
}
