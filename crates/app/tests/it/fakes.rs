//! Small stand-ins for the ports: they keep everything in memory, and note what they were asked.
//!
//! A body has one record a line; a line that begins with `!` is a bad row, and `?` makes the whole body unreadable.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tollbook_app::{App, Ports};
use tollbook_kit::clock::{Clock, ManualClock};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::SeededRandomness;
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Caller, Role};
use tollbook_model::call::CallRecord;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportRequest};
use tollbook_model::format::RecordForm;
use tollbook_model::ports::*;
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantName};
use uuid::Uuid;

/// The moment at which the clock of these tests stands: 2026-06-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_780_272_000_000;
/// A token of each role is this with the role's name put behind.
pub(crate) const TOKEN_PREFIX: &str = "token-of-the-role-called-";

/// Everything behind the ports.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) randomness: Arc<SeededRandomness>,
    pub(crate) sources: Mutex<BTreeMap<String, Source>>,
    pub(crate) tenants: Mutex<BTreeMap<TenantName, Tenant>>,
    pub(crate) tokens: Mutex<BTreeMap<[u8; 32], TokenHolder>>,
    /// Lines of every body that was committed.
    pub(crate) committed: Arc<Mutex<Vec<String>>>,
    pub(crate) seen: AtomicUsize,
    pub(crate) token_look_ups: AtomicUsize,
    /// Exports that were started.
    pub(crate) exports: Mutex<Vec<(ExportRequest, usize)>>,
    /// Queries that the connector was given.
    pub(crate) queries: Mutex<Vec<(String, String)>>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(ManualClock::at(NOW_MS)),
            randomness: Arc::new(SeededRandomness::new(7)),
            sources: Mutex::default(),
            tenants: Mutex::default(),
            tokens: Mutex::default(),
            committed: Arc::default(),
            seen: AtomicUsize::new(0),
            token_look_ups: AtomicUsize::new(0),
            exports: Mutex::default(),
            queries: Mutex::default(),
        })
    }

    pub(crate) fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            intake: self.clone(),
            data_plane: self.clone(),
            connectors: Arc::new(Kinds(LineConnector(self.clone()))),
            sources: self.clone(),
            tenants: self.clone(),
            tokens: self.clone(),
            clock: self.clock.clone() as Arc<dyn Clock>,
            randomness: self.randomness.clone(),
            public_url: "https://cdr.example.net:8443".into(),
        }
    }

    /// Use cases with the default tenant and a token of each role.
    pub(crate) async fn app(self: &Arc<Self>) -> App {
        let app = App::new(self.ports());
        app.tenants.bootstrap().await.unwrap();
        for role in Role::ALL {
            let token = Secret::new(format!("{TOKEN_PREFIX}{}", role.name()));
            app.tokens.bootstrap(Some(&token)).await.unwrap();
            let mut tokens = self.tokens.lock().unwrap();
            let newest = tokens.values_mut().find(|holder| holder.name == "bootstrap").unwrap();
            newest.role = role;
            newest.name = role.name().into();
        }
        app
    }
}

pub(crate) fn caller(role: Role) -> Caller {
    Caller { tenant: TenantName::default_tenant(), role, token: Uuid::from_u128(role as u128) }
}

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

struct Kinds(LineConnector);
struct LineConnector(Arc<World>);

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

#[async_trait]
impl Sources for World {
    async fn find(&self, _: &TenantName, pbx_alias: &str) -> Result<Option<Source>, Fault> {
        Ok(self.sources.lock().unwrap().get(pbx_alias).cloned())
    }
    async fn list(&self, _: &TenantName) -> Result<Vec<Source>, Fault> {
        Ok(self.sources.lock().unwrap().values().cloned().collect())
    }
    async fn put(&self, _: &TenantName, mut source: Source) -> Result<Source, Fault> {
        let mut sources = self.sources.lock().unwrap();
        if let Some(known) = sources.get(&source.pbx_alias) {
            (source.id, source.version) = (known.id, known.version + 1);
        }
        sources.insert(source.pbx_alias.clone(), source.clone());
        Ok(source)
    }
    async fn remove(&self, _: &TenantName, pbx_alias: &str) -> Result<bool, Fault> {
        Ok(self.sources.lock().unwrap().remove(pbx_alias).is_some())
    }
    async fn seen(&self, _: &TenantName, _: &str, _: i64) -> Result<(), Fault> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        Err(Fault::new(Code::Unavailable, "notes are not taken today"))
    }
}

#[async_trait]
impl Tenants for World {
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault> {
        Ok(self.tenants.lock().unwrap().get(name).cloned())
    }
    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        Ok(self.tenants.lock().unwrap().values().cloned().collect())
    }
    async fn put(&self, tenant: Tenant) -> Result<(), Fault> {
        self.tenants.lock().unwrap().insert(tenant.name.clone(), tenant);
        Ok(())
    }
}

#[async_trait]
impl Tokens for World {
    async fn holder(&self, hash: [u8; 32]) -> Result<Option<TokenHolder>, Fault> {
        self.token_look_ups.fetch_add(1, Ordering::SeqCst);
        Ok(self.tokens.lock().unwrap().get(&hash).cloned())
    }
    async fn put(&self, hash: [u8; 32], holder: TokenHolder) -> Result<(), Fault> {
        self.tokens.lock().unwrap().insert(hash, holder);
        Ok(())
    }
    async fn put_only(&self, hash: [u8; 32], mut holder: TokenHolder) -> Result<(), Fault> {
        let mut tokens = self.tokens.lock().unwrap();
        tokens.retain(|known, other| *known == hash || other.name != holder.name);
        if let Some(known) = tokens.get(&hash) {
            holder.id = known.id;
        }
        tokens.insert(hash, holder);
        Ok(())
    }
    async fn count(&self) -> Result<u64, Fault> {
        Ok(self.tokens.lock().unwrap().len() as u64)
    }
}

/// Exports are three chunks. One with the filter `trunk=broken` fails after the first, one with `trunk=endless` never
/// gives a second, and its estimate never comes.
#[async_trait]
impl DataPlane for World {
    async fn export(&self, request: ExportRequest, rows: ExportRows) -> Result<ExportStream, Fault> {
        let given = match rows {
            ExportRows::Stored => 0,
            ExportRows::Given(rows) => rows.len(),
        };
        let has = |word: &str| {
            request.selection.filters.iter().any(|filter| filter.values.iter().any(|value| value == word))
        };
        let chunk = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        let chunks = if has("broken") {
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
        self.exports.lock().unwrap().push((request, given));
        Ok(ExportStream { snapshot_at_ms: NOW_MS, watermark: 3, chunks })
    }
    async fn estimate(&self, request: &ExportRequest, _: ExportRows) -> Result<Estimate, Fault> {
        if request.selection.filters.iter().any(|filter| filter.values == ["endless"]) {
            return std::future::pending().await;
        }
        let large = !request.selection.filters.is_empty();
        Ok(Estimate { rows: 3, bytes: if large { 10_000_000 } else { 9_999_999 } })
    }
}
