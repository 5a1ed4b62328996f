//! Signed manifests of exports: what they say, and who may have them for how long.
//!
//! Hashing files and signing records is the data plane's work; how a manifest is kept is the catalog's.

use super::numbers;
use crate::signing_keys::SigningKeyRing;
use futures::channel::oneshot;
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::retry::Schedule;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportQuery, ExportedFile, Proof, Signing};
use tollbook_model::export_manifest::{
    ExportManifest, MANIFEST_TYPE, MANIFEST_VERSION, MERKLE_ALGORITHM, ManifestFile, MerkleRoot,
};
use tollbook_model::format::ExportFormat;
use tollbook_model::merkle::Hash;
use tollbook_model::ports::{ExportManifests, ExportStream, KeyPurpose, StoredManifest};
use tollbook_model::schema::Schema;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::time_range::{TimeRange, instant_text};
use uuid::Uuid;

/// How long the manifest of a streamed export can be fetched (`natalia.md` section 11).
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Waits before a manifest is kept after all: a whole export must not break off for a moment's crowd at the database. All
/// together they are well below the time in which readers give up.
const KEEPING: Schedule =
    Schedule::new(&[Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)]);

/// Signs manifests, keeps them and forgets them.
pub(crate) struct Manifests {
    port: Arc<dyn ExportManifests>,
    keys: Arc<SigningKeyRing>,
    clock: Arc<dyn Clock>,
}

/// What a manifest says of an export before its first byte: what was asked for, as it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    tenant: TenantName,
    export_id: Uuid,
    dataset: Dataset,
    schema_id: String,
    format: ExportFormat,
    range: TimeRange,
    tz: String,
    filters: BTreeMap<String, Vec<String>>,
    columns: Option<Vec<String>>,
    formula_guard: bool,
}

impl Outline {
    /// Of this query, with filters as they are shown.
    pub(crate) fn of(tenant: &Tenant, export_id: Uuid, schema_id: String, query: &ExportQuery) -> Self {
        let selection = &query.selection;
        let fields = Schema::of(selection.dataset).fields;
        let names = || selection.columns.iter().map(|&at| fields[at].name.to_owned()).collect();
        Self {
            tenant: tenant.name.clone(),
            export_id,
            dataset: selection.dataset,
            schema_id,
            format: query.format,
            range: selection.range,
            tz: selection.timezone.iana_name().unwrap_or("UTC").to_owned(),
            filters: shown_filters(tenant, query),
            columns: query.columns_named.then(names),
            formula_guard: query.formula_guard,
        }
    }
}

/// The filters of a query as the caller wrote them; only that a tenant that hides callers' numbers hides them here too, as
/// everybody who may export may see what others exported.
pub(crate) fn shown_filters(tenant: &Tenant, query: &ExportQuery) -> BTreeMap<String, Vec<String>> {
    let mut filters = query.selection.filters.clone();
    if tenant.settings.caller_numbers == CallerNumbers::Pseudonym {
        numbers::hide_callers(&mut filters, &tenant.pseudonym_keys);
    }
    filters.into_iter().map(|filter| (filter.field.name().to_owned(), filter.values)).collect()
}

/// What the data plane has told of an export: when it was seen, and what came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) snapshot_at_ms: i64,
    pub(crate) watermark: u64,
    /// The files in their order, with their names.
    pub(crate) files: Vec<(String, ExportedFile)>,
    /// Of the tree over the records of all files.
    pub(crate) merkle_root: Option<Hash>,
}

impl Manifests {
    pub(crate) fn new(
        port: Arc<dyn ExportManifests>,
        keys: Arc<SigningKeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { port, keys, clock }
    }

    /// What the data plane must do so that an export can be signed so.
    pub(crate) fn proof(&self, signing: Signing) -> Proof {
        match signing {
            Signing::None => Proof::None,
            Signing::Manifest => Proof::Digests,
            Signing::Records => Proof::Signatures(Arc::new(self.keys.newest(KeyPurpose::Manifest).clone())),
        }
    }

    /// The signed manifest, a compact JWS.
    ///
    /// # Errors
    /// `internal` when a file was not hashed.
    pub(crate) fn sign(
        &self,
        outline: &Outline,
        outcome: &Outcome,
        created_at_ms: i64,
    ) -> Result<String, Fault> {
        let payload = serde_json::to_vec(&manifest(outline, outcome, created_at_ms)?);
        let payload = payload.fault("writing the manifest of an export")?;
        Ok(self.keys.newest(KeyPurpose::Manifest).sign(MANIFEST_TYPE, &payload))
    }

    /// The same stream of one file of that name; before it ends cleanly, its manifest is signed and kept. If that fails,
    /// so does the stream.
    pub(crate) fn signed(
        self: Arc<Self>,
        outline: Outline,
        file_name: String,
        stream: ExportStream,
    ) -> ExportStream {
        let ExportStream { snapshot_at_ms, watermark, chunks, file } = stream;
        let (told, whole) = oneshot::channel();
        let ending = async move {
            let file = file.await.map_err(|_| Fault::internal("an export ended without telling its file"))?;
            let (merkle_root, files) = (file.merkle_root, vec![(file_name, file.clone())]);
            self.keep(&outline, &Outcome { snapshot_at_ms, watermark, files, merkle_root }).await?;
            let _nobody_listens = told.send(file);
            Ok(())
        };
        let whole_chunks =
            stream::try_unfold((chunks, Box::pin(ending)), |(mut chunks, ending)| async move {
                match chunks.next().await {
                    Some(chunk) => Ok(Some((chunk?, (chunks, ending)))),
                    None => ending.await.map(|()| None),
                }
            });
        ExportStream { snapshot_at_ms, watermark, chunks: whole_chunks.boxed(), file: whole }
    }

    async fn keep(&self, outline: &Outline, outcome: &Outcome) -> Result<(), Fault> {
        let created_at_ms = self.clock.now_ms();
        let jws = self.sign(outline, outcome, created_at_ms)?;
        let Outline { tenant, export_id, dataset, .. } = outline.clone();
        let manifest = StoredManifest { tenant, export_id, dataset, created_at_ms, jws };
        let mut failed = 0;
        loop {
            let fault = match self.port.keep(manifest.clone()).await {
                Ok(()) => return Ok(()),
                Err(fault) if fault.code() == Code::Unavailable => fault,
                Err(fault) => return Err(fault),
            };
            failed += 1;
            let Some(wait) = KEEPING.wait_after(failed) else { return Err(fault) };
            tokio::time::sleep(wait).await;
        }
    }

    /// The manifest of this tenant's export, if it is not too old.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn find(
        &self,
        tenant: &TenantName,
        export_id: Uuid,
    ) -> Result<Option<StoredManifest>, Fault> {
        let oldest_ms = self.oldest_ms();
        let found = self.port.find(tenant, export_id).await?;
        Ok(found.filter(|manifest| manifest.created_at_ms >= oldest_ms))
    }

    /// Forgets what can no longer be fetched.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(crate) async fn forget_old(&self) -> Result<(), Fault> {
        self.port.forget_signed_before(self.oldest_ms()).await.map(drop)
    }

    fn oldest_ms(&self) -> i64 {
        self.clock.now_ms() - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX)
    }
}

fn manifest(outline: &Outline, outcome: &Outcome, created_at_ms: i64) -> Result<ExportManifest, Fault> {
    let moment = |ms: i64, open_end: i64| (ms != open_end).then(|| instant_text(ms));
    let files = outcome.files.iter().map(|(name, file)| {
        let sha256 = file.sha256.ok_or_else(|| Fault::internal("a file to be signed was not hashed"))?;
        Ok(ManifestFile {
            name: name.clone(),
            bytes: file.bytes,
            rows: file.rows,
            sha256: hex::encode(sha256),
        })
    });
    let files = files.collect::<Result<Vec<_>, Fault>>()?;
    let merkle_root = |root| MerkleRoot { algorithm: MERKLE_ALGORITHM.to_owned(), root: hex::encode(root) };
    Ok(ExportManifest {
        manifest_version: MANIFEST_VERSION,
        export_id: outline.export_id.to_string(),
        tenant: outline.tenant.as_str().to_owned(),
        dataset: outline.dataset.name().to_owned(),
        schema: outline.schema_id.clone(),
        format: outline.format.name().to_owned(),
        from: moment(outline.range.from_ms(), i64::MIN),
        to: moment(outline.range.to_ms(), i64::MAX),
        tz: outline.tz.clone(),
        filters: outline.filters.clone(),
        columns: outline.columns.clone(),
        formula_guard: outline.formula_guard,
        snapshot_at: instant_text(outcome.snapshot_at_ms),
        watermark: outcome.watermark,
        created_at: instant_text(created_at_ms),
        rows: files.iter().map(|file| file.rows).sum(),
        files,
        merkle: outcome.merkle_root.map(merkle_root),
    })
}
