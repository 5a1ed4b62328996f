//! Records in and out: a body has one record a line; a line that begins with `!` is a bad row, and `?` makes the whole
//! body unreadable.

use super::{NOW_MS, World};
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::call::{CallRecord, Trunk, TrunkIds};
use tollbook_model::completeness::HourDigest;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportCounters, ExportRequest, ExportedFile, Proof};
use tollbook_model::export_job::ExportPart;
use tollbook_model::format::RecordForm;
use tollbook_model::ports::*;
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantName};
use tollbook_model::value::Value as Field;

struct Sink {
    lines: Vec<String>,
    committed: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl RecordSink for Sink {
    fn push(&mut self, record: &CallRecord<'_>) {
        self.lines.push(record.text(tollbook_model::call::CallField::SourceKey).unwrap_or("").to_owned());
    }
    fn rows(&self) -> usize {
        self.lines.len()
    }
    fn bytes(&self) -> usize {
        0
    }
    async fn commit(self: Box<Self>) -> Result<Committed, Fault> {
        let mut committed = self.committed.lock().unwrap();
        let before = committed.len() as u64;
        let duplicates = self.lines.iter().filter(|line| committed.contains(line)).count() as u64;
        let accepted = self.lines.len() as u64;
        let fresh: Vec<String> =
            self.lines.iter().filter(|line| !committed.contains(line)).cloned().collect();
        committed.extend(fresh);
        let stored = committed.len() as u64;
        let sequences = (stored > before).then_some((before + 1, stored));
        Ok(Committed { accepted, duplicates, revisions: 0, sequences })
    }
}

fn read_lines(body: &[u8], sink: &mut dyn RecordSink) -> Result<RowReport, Fault> {
    let mut report = RowReport::default();
    for (at, line) in std::str::from_utf8(body).unwrap().lines().enumerate() {
        report.rows += 1;
        match line.as_bytes().first() {
            Some(b'?') => return Err(Fault::malformed("cannot be read")),
            Some(b'!') => report.reject(at as u64 + 1, "is bad"),
            Some(b'P') => panic!("asked to"),
            _ => {
                let mut record = CallRecord::new();
                record.set_text(tollbook_model::call::CallField::SourceKey, line).unwrap();
                sink.push(&record);
            }
        }
    }
    Ok(report)
}

impl Intake for World {
    fn open(&self, _: &Tenant, _: Dataset) -> Box<dyn RecordSink> {
        Box::new(Sink { lines: Vec::new(), committed: self.committed.clone() })
    }
    fn read_native(
        &self,
        _: RecordForm,
        body: &[u8],
        _: &Tenant,
        _: i64,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        read_lines(body, sink)
    }
}

pub(super) struct Kinds(pub(super) LineConnector);
pub(super) struct LineConnector(pub(super) Arc<World>);

impl ConnectorRegistry for Kinds {
    fn connector(&self, kind: &str) -> Option<&dyn Connector> {
        (kind == "lines").then_some(&self.0 as &dyn Connector)
    }
    fn kinds(&self) -> Vec<&'static str> {
        vec!["lines"]
    }
}

impl Connector for LineConnector {
    fn kind(&self) -> &'static str {
        "lines"
    }
    fn check(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        match settings.keys().find(|name| *name != "zone") {
            Some(name) => Err(Fault::parameter(name.clone(), "is not a setting")),
            None => {
                let mut checked = settings.clone();
                checked.entry("zone").or_insert("UTC".into());
                Ok(checked)
            }
        }
    }
    fn read(
        &self,
        _: &Source,
        _: &Tenant,
        body: &SourceBody<'_>,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        self.0.queries.lock().unwrap().extend_from_slice(body.query);
        read_lines(body.bytes, sink)
    }
}

/// Exports are three chunks, of pages they are a chunk a page, with values parted by `|`. One with the filter `trunk=broken` fails after the first, one with `trunk=refused` does not start, one with `trunk=endless` never
/// gives a second, and its estimate never comes.
pub(super) struct Plane(pub(super) Arc<World>);

#[async_trait]
impl DataPlane for Plane {
    async fn export(&self, request: ExportRequest, rows: ExportRows) -> Result<ExportStream, Fault> {
        let (given, pages) = match rows {
            ExportRows::Stored | ExportRows::Pinned(_) => (0, None),
            ExportRows::Given(rows) => (rows.len(), None),
            ExportRows::Paged { about, pages } => (usize::try_from(about).unwrap(), Some(pages)),
        };
        let has = |word: &str| {
            request.selection.filters.iter().any(|filter| filter.values.iter().any(|value| value == word))
        };
        let (told, file) = oneshot::channel();
        let chunk = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        let chunks = if has("refused") {
            return Err(Fault::new(Code::Unavailable, "no export today"));
        } else if let Some(pages) = pages {
            pages.map_ok(|rows| Bytes::from(rows.iter().map(line).collect::<String>())).boxed()
        } else if has("broken") {
            // The pause lets the first chunk reach the wire.
            let failure = async {
                tokio::task::yield_now().await;
                Err(Fault::internal("the disk is gone"))
            };
            stream::iter([chunk("one\n")])
                .chain(stream::once(failure))
                .chain(stream::iter([chunk("three\n")]))
                .boxed()
        } else if has("endless") {
            stream::iter([chunk("one\n")]).chain(stream::pending()).boxed()
        } else {
            stream::iter([chunk("one\n"), chunk("two\n"), chunk("three\n")]).boxed()
        };
        let chunks = tallied(chunks, told, !matches!(request.proof, Proof::None));
        self.0.exports.lock().unwrap().push((request, given));
        Ok(ExportStream { snapshot_at_ms: NOW_MS, watermark: 3, chunks, file })
    }
    async fn write(
        &self,
        request: ExportRequest,
        rows: ExportRows,
        kept: Vec<ExportPart>,
        counters: Arc<ExportCounters>,
    ) -> Result<ExportParts, Fault> {
        self.0.write_parts(request, rows, kept, counters).await
    }
    /// Two hours. A report from 1970 on does not start, one from 1971 on fails after its first hour.
    async fn completeness(
        &self,
        request: ExportRequest,
        rows: ExportRows,
    ) -> Result<CompletenessStream, Fault> {
        let given = if let ExportRows::Given(rows) = rows { rows.len() } else { 0 };
        let from_ms = request.selection.range.from_ms();
        let hour = |hour, records, sequences| Ok(HourDigest { hour, records, sequences, root: [0xAB; 32] });
        let second = match from_ms {
            0 => return Err(Fault::new(Code::Unavailable, "no report today")),
            31_536_000_000 => Err(Fault::internal("the disk is gone")),
            _ => hour(490_003, 1, None),
        };
        self.0.exports.lock().unwrap().push((request, given));
        let hours = stream::iter([hour(490_001, 2, Some((3, 9))), second]).boxed();
        Ok(CompletenessStream { snapshot_at_ms: NOW_MS, watermark: 3, hours })
    }
    /// One of each kind; none of a tenant without records.
    async fn trunks(&self, tenant: &TenantName) -> Result<Vec<Trunk>, Fault> {
        let ids = TrunkIds::of(tenant);
        let all = [ids.trunk(Some("carrier"), None), ids.trunk(Some("desk"), Some("t-1".into()))];
        Ok(all.into_iter().flatten().collect())
    }
    async fn estimate(&self, request: &ExportRequest, rows: ExportRows) -> Result<Estimate, Fault> {
        if let ExportRows::Paged { about, .. } = rows {
            return Ok(Estimate { rows: about, bytes: about * 100 });
        }
        if request.selection.filters.iter().any(|filter| filter.values == ["endless"]) {
            return std::future::pending().await;
        }
        if request.selection.filters.iter().any(|filter| filter.values == ["unreadable"]) {
            return Err(Fault::internal("a file of the lake cannot be read"));
        }
        let large = !request.selection.filters.is_empty();
        let rows = self.0.estimated_rows.load(Ordering::SeqCst);
        Ok(Estimate { rows, bytes: if large { 10_000_000 } else { 9_999_999 } })
    }
}

/// The same chunks; when they end well, their lines are counted as records. Hashes are made up.
fn tallied(
    chunks: BoxStream<'static, Result<Bytes, Fault>>,
    told: oneshot::Sender<ExportedFile>,
    proved: bool,
) -> BoxStream<'static, Result<Bytes, Fault>> {
    let file = ExportedFile {
        bytes: 0,
        rows: 0,
        sha256: proved.then_some([0xAB; 32]),
        merkle_root: proved.then_some([0xCD; 32]),
    };
    let start = Some((chunks, told, file));
    let next = |state: Option<(BoxStream<'static, _>, oneshot::Sender<_>, ExportedFile)>| async move {
        let (mut chunks, told, mut file) = state?;
        match chunks.next().await {
            None => {
                let _nobody_listens = told.send(file);
                None
            }
            Some(Err(fault)) => Some((Err(fault), None)),
            Some(Ok(chunk)) => {
                let chunk: Bytes = chunk;
                file.bytes += chunk.len() as u64;
                file.rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                Some((Ok(chunk), Some((chunks, told, file))))
            }
        }
    };
    stream::unfold(start, next).boxed()
}

pub(super) fn line(row: &GivenRow) -> String {
    let text = |value: &Field<'_>| match value {
        Field::Null => String::new(),
        Field::Integer(value) | Field::Instant(value) => value.to_string(),
        other => other.as_text().map_or_else(|| format!("{other:?}"), str::to_owned),
    };
    row.iter().map(text).collect::<Vec<_>>().join("|") + "\n"
}
