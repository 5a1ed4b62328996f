//! Downloads: files of finished jobs, for whoever holds a link that was signed for them, or may export.
//!
//! A link is judged before anything is looked up, and a download is in the audit log before its first byte. Which bytes
//! of a file a request wants is read by `http`; where they lie is the data wing's business.

mod keys;
mod link_text;
mod links;
mod register;

pub(crate) use keys::LinkKeys;
pub use keys::{LinkKey, MOST_LINK_LIFE};
pub use link_text::LinkText;
pub use links::JobLinks;
pub(crate) use links::LinkMaker;
pub use register::LinkKeyRegister;

use crate::visible_jobs::VisibleJobs;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::{Actor, Caller};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::export_job::{ExportJob, JobState, MANIFEST_FILE};
use tollbook_model::ports::{Artifacts, AuditLog, CHUNK_BYTES, ExportJobs, PartsOfRange};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Media type of a signed manifest.
const MANIFEST_MEDIA_TYPE: &str = "application/jose";

/// A file that can be downloaded, or read in pieces.
#[derive(Debug, Clone)]
pub struct Download {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its strong entity tag, with quotes.
    pub etag: String,
    /// When it was finished, in milliseconds.
    pub modified_at_ms: i64,
    job: Uuid,
    tenant: TenantName,
    content: Content,
    reader: Reader,
}

#[derive(Debug, Clone)]
enum Content {
    /// The parts of the job.
    Parts,
    /// In memory: a manifest.
    Text(Bytes),
}

/// Who reads.
#[derive(Debug, Clone)]
enum Reader {
    /// Whoever holds a link that this key signed.
    Link(String),
    Caller(Caller),
}

impl Download {
    /// The job whose file it is.
    pub fn job(&self) -> Uuid {
        self.job
    }
}

/// Where downloads come from.
pub(crate) struct DownloadPorts {
    pub(crate) jobs: Arc<dyn ExportJobs>,
    pub(crate) artifacts: Arc<dyn Artifacts>,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Hands files out.
pub struct Downloads {
    keys: Arc<LinkKeys>,
    visible: Arc<VisibleJobs>,
    ports: DownloadPorts,
}

impl Downloads {
    pub(crate) fn new(keys: Arc<LinkKeys>, visible: Arc<VisibleJobs>, ports: DownloadPorts) -> Self {
        Self { keys, visible, ports }
    }

    /// The file that a link leads to.
    ///
    /// # Errors
    /// `forbidden` when nobody signed exactly this text; `gone` when its time is over, or the files are; `unavailable` or
    /// `internal`.
    pub async fn open(&self, link: LinkText<'_>) -> Result<Download, Fault> {
        let unsigned = || Fault::new(Code::Forbidden, "this link is not good; get a new one from the job");
        if !self.keys.verify(&link) {
            return Err(unsigned());
        }
        let ends_at_s = link.ends_at_s().ok_or_else(unsigned)?;
        let (job, file) = link.target().ok_or_else(unsigned)?;
        if self.ports.clock.now_ms() >= ends_at_s.saturating_mul(1000) {
            return Err(Fault::new(Code::Gone, "the time of this link is over; get a new one from the job"));
        }
        let job = self.ports.jobs.find(job).await?.ok_or_else(files_are_gone)?;
        self.download(&job, file, Reader::Link(link.kid.to_owned()))
    }

    /// The first file of a job, for a caller who may export what it holds.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing; `not_found`; `not_ready` until it has ended; `gone` when it has
    /// no files, or none any more; `unavailable` or `internal`.
    pub async fn open_for(&self, caller: &Caller, job: Uuid) -> Result<Download, Fault> {
        let job = self.visible.find(caller, job).await?;
        if !job.state.has_ended() {
            return Err(Fault::new(Code::NotReady, "the export is not ready yet; ask again later"));
        }
        let file = job.files.first().ok_or_else(files_are_gone)?;
        self.download(&job, &file.name, Reader::Caller(caller.clone()))
    }

    /// The bytes `range` of a download, in chunks of at most 64 KiB, each read when it is asked for. The audit log shows
    /// it before the first byte.
    ///
    /// # Errors
    /// `gone` when the files were removed meanwhile; `storage_full` when it cannot be logged; `unavailable` or
    /// `internal`, also for a range that is not inside the file. Errors of the stream: `gone` or `internal`.
    pub async fn read(
        &self,
        download: &Download,
        range: Range<u64>,
        address: Option<IpAddr>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        if range.start > range.end || range.end > download.bytes {
            return Err(Fault::internal("a range outside of the file was asked for"));
        }
        let held = match &download.content {
            Content::Parts => Some(self.parts_of(download, range.clone()).await?),
            Content::Text(_) => None,
        };
        self.ports.audit_log.append(vec![self.entry(download, &range, address)]).await?;
        match (&download.content, held) {
            _ if range.is_empty() => Ok(stream::empty().boxed()),
            (Content::Text(text), _) => Ok(pieces(text, range).boxed()),
            (Content::Parts, held) => {
                let PartsOfRange { parts, before, .. } = held.ok_or_else(files_are_gone)?;
                self.ports.artifacts.read(parts, range.start - before..range.end - before).await
            }
        }
    }

    /// The file of that name, while the job has it.
    fn download(&self, job: &ExportJob, file: &str, reader: Reader) -> Result<Download, Fault> {
        let is_over =
            job.expires_at_ms.is_none_or(|expires_at_ms| self.ports.clock.now_ms() >= expires_at_ms);
        if job.state != JobState::Ready || is_over {
            return Err(files_are_gone());
        }
        let manifest = job.manifest.as_ref().filter(|_| file == MANIFEST_FILE);
        let (media_type, bytes, sha256, content) = match manifest {
            Some(jws) => {
                let text = Bytes::copy_from_slice(jws.reveal().as_bytes());
                let sha256: [u8; 32] = Sha256::digest(&text).into();
                (MANIFEST_MEDIA_TYPE, text.len() as u64, sha256, Content::Text(text))
            }
            None => {
                let known = job.files.iter().find(|known| known.name == file).ok_or_else(files_are_gone)?;
                let media_type = job.order.query.format.media_type();
                (media_type, known.bytes, known.sha256, Content::Parts)
            }
        };
        Ok(Download {
            name: file.to_owned(),
            media_type,
            bytes,
            etag: format!("\"{}\"", hex::encode(sha256)),
            modified_at_ms: job.finished_at_ms.unwrap_or(job.created_at_ms),
            job: job.id,
            tenant: job.tenant.clone(),
            content,
            reader,
        })
    }

    /// The parts of the file that hold this range, if all parts are still the whole of it.
    async fn parts_of(&self, download: &Download, range: Range<u64>) -> Result<PartsOfRange, Fault> {
        let parts = self.ports.jobs.parts_of_range(download.job, range).await?;
        if parts.whole == download.bytes { Ok(parts) } else { Err(files_are_gone()) }
    }

    fn entry(&self, download: &Download, range: &Range<u64>, address: Option<IpAddr>) -> AuditEntry {
        let (actor, actor_role) = match &download.reader {
            Reader::Link(kid) => (Actor::Link(kid.clone()), None),
            Reader::Caller(caller) => (caller.actor.clone(), Some(caller.role)),
        };
        let entry = AuditEntry {
            tenant: download.tenant.clone(),
            home: None,
            at_ms: self.ports.clock.now_ms(),
            actor,
            actor_role,
            ip: address,
            action: "export.download",
            object: Some(AuditObject::new("export_job", download.job)),
            outcome: Outcome::Success,
            reason: None,
        };
        let (name, whole) = (&download.name, *range == (0..download.bytes));
        let part = || format!("{name}, {} bytes from {}", range.end - range.start, range.start);
        entry.because(&if whole { name.clone() } else { part() })
    }
}

/// A text in chunks.
fn pieces(text: &Bytes, range: Range<u64>) -> impl futures::Stream<Item = Result<Bytes, Fault>> + use<> {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(text.len());
    let wanted = text.slice(at(range.start)..at(range.end));
    let starts = (0..wanted.len()).step_by(CHUNK_BYTES);
    let chunks: Vec<_> =
        starts.map(|start| Ok(wanted.slice(start..wanted.len().min(start + CHUNK_BYTES)))).collect();
    stream::iter(chunks)
}

fn files_are_gone() -> Fault {
    Fault::new(Code::Gone, "the files of this export are gone; order it again")
}
