//! Files of exports, in memory, and how the data plane writes them: a job's file is four parts, each of which needs a
//! permit, so that a test says how far a job goes.

use super::World;
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export::{ExportCounters, ExportRequest, ExportedFile, Proof};
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::*;
use uuid::Uuid;

/// Parts of a file of stored records.
pub(crate) const PARTS: u32 = 4;

/// The bytes of a part of this export.
fn part_text(export: Uuid, number: u32, watermark: u64) -> String {
    format!("{export} part {number} up to {watermark}\n")
}

/// The whole file that a job over stored records must have, wherever its attempts ended.
pub(crate) fn whole_file(export: Uuid, watermark: u64) -> String {
    (0..PARTS).map(|number| part_text(export, number, watermark)).collect()
}

fn object_key(request: &ExportRequest, number: u32, made: usize) -> String {
    format!("exports/tenant={}/{}/{number}-{made}.part", request.tenant, request.id)
}

impl World {
    /// Makes no part until a test allows it.
    pub(crate) fn hold_parts(&self) {
        self.part_permits.forget_permits(usize::MAX >> 4);
    }

    /// Allows so many parts.
    pub(crate) fn allow_parts(&self, parts: usize) {
        self.part_permits.add_permits(parts);
    }

    /// Keys of all objects of exports.
    pub(crate) fn objects(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn put_part(&self, request: &ExportRequest, number: u32, text: &str) -> ExportPart {
        let mut objects = self.objects.lock().unwrap();
        let path = object_key(request, number, self.parts_made.fetch_add(1, super::Ordering::SeqCst));
        objects.insert(path.clone(), text.to_owned());
        let (bytes, state) = (text.len() as u64, number.to_le_bytes().to_vec());
        ExportPart { number, path: Some(path), bytes, state }
    }

    /// All parts of kept ones, if they are whole.
    fn read_kept(&self, kept: &[ExportPart]) -> Option<String> {
        let objects = self.objects.lock().unwrap();
        let text = |part: &ExportPart| {
            let text = objects.get(part.path.as_ref()?)?;
            (text.len() as u64 == part.bytes).then(|| text.clone())
        };
        kept.iter().map(text).collect::<Option<Vec<_>>>().map(|texts| texts.concat())
    }

    /// As the port of the data plane.
    pub(super) async fn write_parts(
        self: &Arc<Self>,
        request: ExportRequest,
        rows: ExportRows,
        kept: Vec<ExportPart>,
        counters: Arc<ExportCounters>,
    ) -> Result<ExportParts, Fault> {
        self.writes.lock().unwrap().push((request.id, kept.len()));
        let damaged = || Fault::new(Code::Conflict, "the parts are damaged");
        let before = self.read_kept(&kept).ok_or_else(damaged)?;
        let from = u32::try_from(kept.len()).unwrap();
        let texts: Vec<String> = match rows {
            ExportRows::Pinned(snapshot) => {
                (from..PARTS).map(|number| part_text(request.id, number, snapshot.watermark)).collect()
            }
            ExportRows::Given(_) | ExportRows::Paged { .. } if from > 0 => return Err(damaged()),
            ExportRows::Given(rows) => vec![rows.iter().map(super::records::line).collect()],
            ExportRows::Paged { pages, .. } => {
                let pages: Vec<_> = pages.try_collect().await?;
                vec![pages.iter().flatten().map(super::records::line).collect()]
            }
            ExportRows::Stored => return Err(Fault::internal("a job has pinned what it sees")),
        };
        counters.expect(texts.len() as u64);
        let proved = !matches!(request.proof, Proof::None);
        let whole = before + &texts.concat();
        let file = ExportedFile {
            bytes: whole.len() as u64,
            rows: whole.lines().count() as u64,
            sha256: Some(Sha256::digest(&whole).into()),
            merkle_root: proved.then_some([0xCD; 32]),
        };
        let (tell, told) = oneshot::channel();
        let start = (self.clone(), request, texts.into_iter().zip(from..), Some((tell, file)));
        let parts = stream::try_unfold(start, move |(world, request, mut texts, mut tell)| {
            let counters = counters.clone();
            async move {
                let Some((text, number)) = texts.next() else {
                    let (tell, file) = tell.take().unwrap();
                    let _nobody_listens = tell.send(file);
                    return Ok(None);
                };
                world.part_permits.acquire().await.unwrap().forget();
                if let Some(code) = world.part_faults.lock().unwrap().pop_front() {
                    return Err(Fault::new(code, "the part cannot be made"));
                }
                let part = world.put_part(&request, number, &text);
                counters.add(1, 1);
                Ok(Some((part, (world, request, texts, tell))))
            }
        });
        Ok(ExportParts { parts: parts.boxed(), file: told })
    }
}

#[async_trait]
impl Artifacts for World {
    async fn read(
        &self,
        parts: Vec<ExportPart>,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        let gone = || Fault::new(Code::Gone, "a part is erased");
        let whole = self.read_kept(&parts).ok_or_else(gone)?;
        let at = |place: u64| usize::try_from(place).unwrap();
        let wanted = whole.as_bytes()[at(range.start)..at(range.end)].to_vec();
        let chunks: Vec<_> =
            wanted.chunks(CHUNK_BYTES).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Ok(stream::iter(chunks).boxed())
    }
    async fn erase(&self, paths: Vec<String>) -> Result<(), Fault> {
        let mut objects = self.objects.lock().unwrap();
        for path in &paths {
            if self.unerasable.lock().unwrap().contains(path) {
                return Err(Fault::internal("the object cannot be erased"));
            }
            objects.remove(path);
        }
        Ok(())
    }
}
