//! A file that is written in parts is the same to the byte wherever attempts end, and holds the records of a direct export.

use crate::given_tests::{self, Then, Watched, pages, whole};
use crate::{Engine, EngineConfig};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::clock::ManualClock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::call::{Admission, CallField, CallRecord};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportCounters, ExportRequest, ExportedFile, Proof};
use tollbook_model::export_job::ExportPart;
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::JwsKey;
use tollbook_model::ports::{
    Artifacts, DataPlane, ExportParts, ExportRows, Intake, Manifest, Snapshot, SnapshotScope,
};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::schema::Schema;
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::time_range::TimeRange;
use tollbook_model::value::Value;
use tollbook_store::artifacts::{PartStore, StoredArtifacts};
use tollbook_store::blob::{BlobWriter, Blobs, ListedObject, MemoryBlobs};
use tollbook_store::config::StoreConfig;
use tollbook_store::journal::{JournalIntake, JournalParts};
use tollbook_store::lake::compaction::{Compaction, CompactionParts};
use tollbook_store::lake::snapshots::{Pins, SnapshotReader};
use tollbook_store::testing::MemoryCatalog;
use uuid::Uuid;

const START_MS: i64 = 1_767_571_200_000; // 2026-01-05T00:00:00Z
const STEP_MS: i64 = 194_003;
const RESERVE_BYTES: u64 = 1000;

/// A part after each stretch, and stretches of a row group or two.
const SMALL: EngineConfig =
    EngineConfig { workers: 3, stretch_records: 150, part_bytes: 0, part_time: Duration::from_secs(3600) };

/// Journal and lake in memory, and an engine over them.
struct World {
    tenant: Tenant,
    blobs: MemoryBlobs,
    catalog: Arc<MemoryCatalog>,
    intake: JournalIntake,
    compaction: Compaction,
    engine: Engine,
    _supervisor: Supervisor,
}

impl World {
    fn new(config: EngineConfig) -> Self {
        let clock = Arc::new(ManualClock::at(START_MS + 90 * 3_600_000));
        let blobs = MemoryBlobs::new(clock.clone());
        let shared: Arc<dyn Blobs> = Arc::new(blobs.clone());
        let catalog = Arc::new(MemoryCatalog::new());
        let ids = IdSource::new(clock.clone(), Arc::new(SeededRandomness::new(1)));
        let snapshots =
            SnapshotReader::new(catalog.clone(), catalog.clone(), shared.clone(), Pins::default());
        let store = Arc::new(StoreConfig { reserve_bytes: 1, part_rows: 100, ..StoreConfig::default() });
        let supervisor = Supervisor::new();
        let journal = JournalParts {
            config: store.clone(),
            journal: catalog.clone(),
            blobs: shared.clone(),
            snapshots: snapshots.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
            bell: Arc::new(Notify::new()),
        };
        let compaction = CompactionParts {
            config: store,
            manifest: catalog.clone(),
            blobs: shared.clone(),
            snapshots: snapshots.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
        };
        let parts = PartStore::new(shared, ids, RESERVE_BYTES);
        Self {
            tenant: Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
                .with_caller_numbers(CallerNumbers::Plain),
            blobs,
            intake: JournalIntake::start(journal, &supervisor),
            compaction: Compaction::new(compaction),
            engine: Engine::new(snapshots, catalog.clone(), parts, clock, config),
            catalog,
            _supervisor: supervisor,
        }
    }

    /// Three days in the lake, of which records came late and were revised; then some in the journal only.
    async fn with_calls(config: EngineConfig) -> Self {
        let world = Self::new(config);
        world.submit(0..1000, 1).await;
        world.compaction.compact_now().await.unwrap();
        world.submit((450..490).step_by(7), 2).await;
        world.compaction.compact_now().await.unwrap();
        world.submit(990..1150, 3).await;
        world.submit(1150..1350, 3).await;
        world
    }

    async fn submit(&self, keys: impl Iterator<Item = i64>, seconds: i64) {
        let admission = Admission::new(&self.tenant, START_MS);
        let mut sink = self.intake.open(&self.tenant, Dataset::Cdr);
        for key in keys {
            let mut record = CallRecord::new();
            record.set_text(CallField::PbxAlias, ["paris-1", "lyon"][key as usize % 2]).unwrap();
            record.set(CallField::StartAt, Value::Instant(START_MS + key * STEP_MS)).unwrap();
            record.set(CallField::DurationS, Value::Integer(seconds)).unwrap();
            record.set_text(CallField::Direction, "outbound").unwrap();
            record.set_text(CallField::Trunk, ["trunk-a", "trunk-b"][key as usize / 250 % 2]).unwrap();
            record.set_text(CallField::CalledParty, format!("+4420{key:08}")).unwrap();
            record.set_text(CallField::SourceKey, key.to_string()).unwrap();
            admission.admit(&mut record).unwrap();
            sink.push(&record);
        }
        sink.commit().await.unwrap();
    }

    async fn snapshot(&self) -> Snapshot {
        let scope = SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr };
        self.catalog.snapshot(&scope, TimeRange::all()).await.unwrap()
    }

    async fn write(&self, order: &Order, kept: &[ExportPart]) -> Result<ExportParts, Fault> {
        self.counted(order, kept, Arc::default()).await
    }

    async fn counted(
        &self,
        order: &Order,
        kept: &[ExportPart],
        counters: Arc<ExportCounters>,
    ) -> Result<ExportParts, Fault> {
        self.engine.write(order.request.clone(), order.rows(), kept.to_vec(), counters).await
    }

    /// Goes on to the end.
    async fn finish(&self, order: &Order, kept: &[ExportPart]) -> (Vec<ExportPart>, ExportedFile) {
        let written = self.write(order, kept).await.unwrap();
        let rest: Vec<ExportPart> = written.parts.try_collect().await.unwrap();
        ([kept, &rest].concat(), written.file.await.unwrap())
    }

    /// Goes on by so many parts and dies.
    async fn attempt(&self, order: &Order, kept: &[ExportPart], parts: usize) -> Vec<ExportPart> {
        let written = self.write(order, kept).await.unwrap();
        let some: Vec<ExportPart> = written.parts.take(parts).try_collect().await.unwrap();
        [kept, &some].concat()
    }

    async fn bytes(&self, parts: &[ExportPart]) -> Vec<u8> {
        let size = parts.iter().map(|part| part.bytes).sum();
        let artifacts = StoredArtifacts::new(Arc::new(self.blobs.clone()));
        let chunks = artifacts.read(parts.to_vec(), 0..size).await.unwrap();
        chunks.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    /// A direct export of the same rows.
    async fn direct(&self, order: &Order) -> Vec<u8> {
        whole(self.engine.export(order.request.clone(), order.rows()).await.unwrap()).await
    }

    fn objects(&self) -> usize {
        self.blobs.list("exports").unwrap().len()
    }
}

/// What is exported of which snapshot.
struct Order {
    request: ExportRequest,
    snapshot: Snapshot,
}

impl Order {
    async fn of(world: &World, format: ExportFormat, proof: Proof) -> Self {
        let mut request = ExportRequest { proof, ..given_tests::request(format) };
        request.selection.dataset = Dataset::Cdr;
        request.selection.columns = Schema::of(Dataset::Cdr).default_columns();
        Self { request, snapshot: world.snapshot().await }
    }

    fn filtered(mut self, trunk: &str) -> Self {
        let filter = Filter { field: FilterField::Trunk, values: vec![trunk.to_owned()] };
        self.request.selection.filters = vec![filter];
        self
    }

    fn in_range(mut self, from: i64, to: i64) -> Self {
        let (from_ms, to_ms) = (START_MS + from * STEP_MS + 1, START_MS + to * STEP_MS);
        self.request.selection.range = TimeRange::new(from_ms, to_ms).unwrap();
        self
    }

    fn rows(&self) -> ExportRows {
        ExportRows::Pinned(Box::new(self.snapshot.clone()))
    }
}

fn proofs() -> [Proof; 3] {
    let key = Arc::new(JwsKey::from_seed(&Secret::new([9; 32])));
    [Proof::None, Proof::Digests, Proof::Signatures(key)]
}

/// What somebody reads in a file: text, or all values of all rows.
fn contents(format: ExportFormat, file: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    match format {
        ExportFormat::CsvGz => {
            flate2::read::GzDecoder::new(file).read_to_end(&mut read).unwrap();
        }
        ExportFormat::Parquet => {
            let file = SerializedFileReader::new(Bytes::copy_from_slice(file)).unwrap();
            for row in file.get_row_iter(None).unwrap() {
                writeln!(read, "{}", row.unwrap()).unwrap();
            }
        }
        _ => read.extend_from_slice(file),
    }
    read
}

/// Checks an order, stopped after each of its parts. Answers how many parts there were.
async fn check(world: &World, order: &Order) -> usize {
    let said = format!("{:?} {:?}", order.request.format, order.request.proof);
    let (parts, file) = world.finish(order, &[]).await;
    let bytes = world.bytes(&parts).await;
    assert_eq!(file.bytes, bytes.len() as u64, "{said}");
    assert_eq!(file.sha256, Some(Sha256::digest(&bytes).into()), "{said}");
    let direct = world.direct(order).await;
    let format = order.request.format;
    assert!(contents(format, &bytes) == contents(format, &direct), "the records of a direct export: {said}");
    if format != ExportFormat::Parquet && format != ExportFormat::CsvGz {
        assert!(bytes == direct, "to the byte: {said}");
    }
    for stop in 0..=parts.len() {
        let kept = world.attempt(order, &[], stop).await;
        assert_eq!(kept.len(), stop);
        let (resumed, told) = world.finish(order, &kept).await;
        assert_eq!(told, file, "stopped after {stop}: {said}");
        assert!(world.bytes(&resumed).await == bytes, "stopped after {stop}: {said}");
    }
    let mut kept = Vec::new();
    while kept.len() < parts.len() {
        kept = world.attempt(order, &kept, 1).await;
    }
    let (resumed, told) = world.finish(order, &kept).await;
    assert_eq!((resumed.len(), &told), (parts.len(), &file), "stopped after every part: {said}");
    assert!(world.bytes(&resumed).await == bytes, "stopped after every part: {said}");
    parts.len()
}

#[tokio::test]
async fn stopped_anywhere_the_file_is_the_same_and_holds_what_a_direct_export_holds() {
    let world = World::with_calls(SMALL).await;
    for format in ExportFormat::ALL {
        for proof in proofs() {
            let order = Order::of(&world, format, proof.clone()).await;
            assert!(check(&world, &order).await > 5);
            let direct = world.direct(&order).await;
            if matches!(format, ExportFormat::Ndjson) {
                assert_eq!(direct.iter().filter(|&&byte| byte == b'\n').count(), 1350, "each record once");
            }
            if !matches!(proof, Proof::Digests) {
                continue;
            }
            for trunk in ["trunk-b", "nothing"] {
                let order = Order::of(&world, format, proof.clone()).await.filtered(trunk);
                check(&world, &order).await;
            }
            check(&world, &Order::of(&world, format, proof).await.in_range(65, 1225)).await;
        }
    }
}

#[tokio::test]
async fn the_root_of_a_file_in_parts_is_that_of_a_direct_export() {
    let world = World::with_calls(SMALL).await;
    for format in [ExportFormat::Json, ExportFormat::Ndjson, ExportFormat::Csv] {
        for proof in proofs() {
            let order = Order::of(&world, format, proof.clone()).await;
            let (_, file) = world.finish(&order, &world.attempt(&order, &[], 3).await).await;
            let stream = world.engine.export(order.request.clone(), order.rows()).await.unwrap();
            stream.chunks.try_collect::<Vec<_>>().await.unwrap();
            let direct = stream.file.await.unwrap();
            assert_eq!((file.rows, file.merkle_root), (direct.rows, direct.merkle_root), "{format:?}");
            assert_eq!(file.rows, 1350);
            assert_eq!(file.merkle_root.is_some(), format.is_json() && !matches!(proof, Proof::None));
        }
    }
}

#[tokio::test]
async fn what_happens_after_the_snapshot_changes_nothing() {
    let world = World::with_calls(SMALL).await;
    for format in ExportFormat::ALL {
        let order = Order::of(&world, format, Proof::Digests).await;
        let (parts, file) = world.finish(&order, &[]).await;
        let kept = world.attempt(&order, &[], 2).await;
        // Revisions on both sides of what is kept, new records, and all of it compacted.
        world.submit((50..1300).step_by(13), 50 + format as i64).await;
        world.submit((1500..1510).map(|key| key + 10 * format as i64), 1).await;
        world.compaction.compact_now().await.unwrap();
        let (resumed, told) = world.finish(&order, &kept).await;
        assert_eq!(told, file, "{format:?}");
        assert!(world.bytes(&resumed).await == world.bytes(&parts).await, "{format:?}");
        let now = Order::of(&world, format, Proof::Digests).await;
        assert_ne!(world.finish(&now, &[]).await.1, file, "there was something to be missed");
    }
}

#[tokio::test]
async fn what_is_damaged_is_not_gone_on_with() {
    let world = World::with_calls(SMALL).await;
    let order = Order::of(&world, ExportFormat::CsvGz, Proof::Digests).await;
    let (parts, _) = world.finish(&order, &[]).await;
    let conflicts = async |order: &Order, kept: &[ExportPart], said: &str| {
        let refused = world.write(order, kept).await.err().map(|fault| fault.code());
        assert_eq!(refused, Some(Code::Conflict), "{said}");
    };
    for kept in [&parts[..2], &parts[..]] {
        let path = kept[1].path.clone().unwrap();
        let good = tollbook_store::blob::read_whole(&world.blobs, &path).unwrap();
        let mut flipped = good.to_vec();
        flipped[good.len() / 2] ^= 4;
        world.blobs.put(&path, &flipped).unwrap();
        conflicts(&order, kept, "a flipped bit").await;
        world.blobs.put(&path, &good[1..]).unwrap();
        conflicts(&order, kept, "a cut part").await;
        world.blobs.delete(&path).unwrap();
        conflicts(&order, kept, "a part that is gone").await;
        world.blobs.put(&path, &good).unwrap();
        assert!(world.write(&order, kept).await.is_ok());
    }
    conflicts(&order, &parts[1..], "the first is missing").await;
    conflicts(&order, &[parts[0].clone(), parts[2].clone()], "one between is missing").await;
    let again = ExportPart { number: 1, ..parts[0].clone() };
    conflicts(&order, &[parts[0].clone(), again], "one comes twice").await;
    let without = ExportPart { state: Vec::new(), ..parts[0].clone() };
    conflicts(&order, &[without], "no state").await;
    let cut = ExportPart { state: parts[0].state[..40].to_vec(), ..parts[0].clone() };
    conflicts(&order, &[cut], "half a state").await;
    let mut other = Order::of(&world, ExportFormat::CsvGz, Proof::Digests).await;
    other.request.id = Uuid::from_u128(8);
    conflicts(&other, &parts[..2], "another export").await;
    let other = Order::of(&world, ExportFormat::Csv, Proof::Digests).await;
    conflicts(&other, &parts[..2], "another format").await;

    let order = Order::of(&world, ExportFormat::Json, Proof::None).await;
    let kept = world.attempt(&order, &[], 2).await;
    let other = Order::of(&world, ExportFormat::Json, Proof::Digests).await;
    let counters = Arc::new(ExportCounters::default());
    let refused = world.counted(&other, &kept, counters.clone()).await.err().unwrap();
    assert_eq!((refused.code(), counters.share()), (Code::Conflict, None), "leaves are missing");
}

#[tokio::test]
async fn counts_rise_to_the_whole() {
    let world = World::with_calls(SMALL).await;
    for trunk in [None, Some("trunk-b"), Some("nothing")] {
        let order = Order::of(&world, ExportFormat::Ndjson, Proof::None).await;
        let order = if let Some(trunk) = trunk { order.filtered(trunk) } else { order };
        let (parts, file) = world.finish(&order, &[]).await;
        for stop in 0..=parts.len() {
            let counters = Arc::new(ExportCounters::default());
            let kept = world.attempt(&order, &[], stop).await;
            let mut written = world.counted(&order, &kept, counters.clone()).await.unwrap();
            let mut before = (0.0, 0);
            let mut shown = Vec::new();
            loop {
                let now = (counters.share().unwrap(), counters.exported());
                assert!(now >= before && now.1 <= file.rows, "{before:?} {now:?}");
                shown.push(now.0);
                before = now;
                if written.parts.next().await.transpose().unwrap().is_none() {
                    break;
                }
            }
            let last = (counters.share(), counters.exported());
            assert_eq!(last, (Some(1.0), file.rows), "{trunk:?}, stopped after {stop}");
            // What was done before counts at once.
            assert!(shown[0] >= stop as f64 / parts.len() as f64 / 2.0, "{shown:?} after {stop}");
        }
    }
}

#[tokio::test]
async fn parts_are_as_large_as_they_should_be() {
    let patient = Duration::from_secs(3600);
    for (config, most) in [
        (EngineConfig { part_bytes: u64::MAX, ..SMALL }, 1),
        (EngineConfig { part_bytes: u64::MAX, part_time: Duration::ZERO, ..SMALL }, 99),
        (EngineConfig { part_bytes: 100_000, part_time: patient, ..SMALL }, 5),
        (EngineConfig { stretch_records: u64::MAX, ..SMALL }, 1),
    ] {
        let world = World::with_calls(config).await;
        let order = Order::of(&world, ExportFormat::Ndjson, Proof::None).await;
        let (parts, file) = world.finish(&order, &[]).await;
        assert!(parts.len() <= most && (most == 1 || parts.len() > 1), "{config:?}: {}", parts.len());
        if config.part_bytes == 100_000 {
            assert!(parts[..parts.len() - 1].iter().all(|part| part.bytes >= 100_000));
        }
        assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), file.bytes);
        let paths: std::collections::HashSet<_> = parts.iter().filter_map(|part| part.path.clone()).collect();
        assert_eq!(paths.len(), parts.len(), "every part has a key of its own");
        let folder = format!("exports/tenant={}/{}/", order.request.tenant, order.request.id);
        assert!(paths.iter().all(|path| path.starts_with(&folder) && path.ends_with(".part")), "{paths:?}");
    }
}

#[tokio::test]
async fn where_nothing_comes_out_the_work_is_kept_without_an_object() {
    let world = World::with_calls(SMALL).await;
    let order = Order::of(&world, ExportFormat::Ndjson, Proof::Digests).await.filtered("nothing");
    let (parts, file) = world.finish(&order, &[]).await;
    assert!(parts.len() > 5 && parts.iter().all(|part| part.path.is_none() && part.bytes == 0));
    assert_eq!((file.bytes, file.rows, world.objects()), (0, 0, 0));
    let order = Order::of(&World::new(SMALL), ExportFormat::Csv, Proof::None).await;
    let (parts, file) = world.finish(&order, &[]).await;
    assert_eq!((parts.len(), file.rows), (1, 0), "an empty snapshot");
}

#[tokio::test]
async fn rows_that_are_computed_or_handed_over_are_one_part() {
    let world = World::with_calls(SMALL).await;
    let mut order = Order::of(&world, ExportFormat::Csv, Proof::None).await;
    (order.request.selection.dataset, order.request.selection.columns) = (Dataset::Kpis, (0..12).collect());
    let counters = Arc::new(ExportCounters::default());
    let written = world.counted(&order, &[], counters.clone()).await.unwrap();
    let parts: Vec<ExportPart> = written.parts.try_collect().await.unwrap();
    let file = written.file.await.unwrap();
    assert!(world.bytes(&parts).await == world.direct(&order).await && file.rows > 2);
    assert_eq!((parts.len(), counters.share(), counters.exported()), (1, Some(1.0), file.rows));
    assert_eq!(world.finish(&order, &parts).await, (parts, file.clone()), "a whole file is whole");

    for format in ExportFormat::ALL {
        let request = given_tests::request(format);
        let given = || ExportRows::Paged { about: 9000, pages: pages(9000, Then::Ends, &Watched::default()) };
        let direct = whole(world.engine.export(request.clone(), given()).await.unwrap()).await;
        let counters = Arc::new(ExportCounters::default());
        let written = world.engine.write(request.clone(), given(), Vec::new(), counters.clone()).await;
        let parts: Vec<ExportPart> = written.unwrap().parts.try_collect().await.unwrap();
        assert!(world.bytes(&parts).await == direct, "{format:?}");
        assert_eq!((parts.len(), counters.share(), counters.exported()), (1, Some(1.0), 9000));
        let again = world.engine.write(request, given(), parts, Arc::default()).await;
        assert_eq!(again.err().unwrap().code(), Code::Conflict);
    }
}

#[tokio::test]
async fn an_attempt_that_breaks_off_leaves_nothing_but_its_parts() {
    let world = World::with_calls(SMALL).await;
    let order = Order::of(&world, ExportFormat::Csv, Proof::None).await;
    let mut written = world.write(&order, &[]).await.unwrap();
    written.parts.next().await.unwrap().unwrap();
    world.blobs.set_free_bytes(RESERVE_BYTES - 1);
    let mut kept = 1;
    let fault = loop {
        match written.parts.next().await.expect("it does not end cleanly") {
            Ok(_) => kept += 1,
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code(), Code::StorageFull);
    assert!(written.parts.next().await.is_none() && written.file.await.is_err());
    assert_eq!(world.objects(), kept);
    world.blobs.set_free_bytes(u64::MAX);

    // Dropped while rows are waited for, of which some are written.
    let watched = Watched::default();
    let rows = ExportRows::Paged { about: 1, pages: pages(50_000, Then::NeverComes, &watched) };
    let request = given_tests::request(ExportFormat::Csv);
    let written = world.engine.write(request, rows, Vec::new(), Arc::default()).await.unwrap();
    drop(written.parts);
    assert!(written.file.await.is_err(), "it did not become whole");
    assert_eq!(world.objects(), kept);
}

/// Counts the lines that are written, and keeps nothing.
#[derive(Debug)]
struct Lines {
    asked: Watched,
    written: Arc<AtomicU64>,
    most_held: Arc<AtomicU64>,
}

struct LineWriter(Watched, Arc<AtomicU64>, Arc<AtomicU64>);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let written = self.1.fetch_add(lines, SeqCst) + lines;
        self.2.fetch_max(self.0.asked().saturating_sub(written), SeqCst);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for LineWriter {
    fn publish(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

impl Blobs for Lines {
    fn create(&self, _: &str) -> Result<Box<dyn BlobWriter>, Fault> {
        Ok(Box::new(LineWriter(self.asked.clone(), self.written.clone(), self.most_held.clone())))
    }
    fn find(&self, _: &str) -> Result<Option<Arc<dyn ByteSource>>, Fault> {
        Ok(None)
    }
    fn delete(&self, _: &str) -> Result<(), Fault> {
        Ok(())
    }
    fn rename(&self, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }
    fn list(&self, _: &str) -> Result<Vec<ListedObject>, Fault> {
        Ok(Vec::new())
    }
    fn free_bytes(&self) -> Result<u64, Fault> {
        Ok(u64::MAX)
    }
}

#[tokio::test]
async fn a_part_is_written_as_its_bytes_come() {
    const ROWS: u64 = 60_000;
    let (asked, written, most_held) = (Watched::default(), Arc::default(), Arc::default());
    let lines =
        Lines { asked: asked.clone(), written: Arc::clone(&written), most_held: Arc::clone(&most_held) };
    let engine = given_tests::engine_writing_to(Arc::new(lines));
    let rows = ExportRows::Paged { about: ROWS, pages: pages(ROWS, Then::Ends, &asked) };
    let request = given_tests::request(ExportFormat::Ndjson);
    let parts = engine.write(request, rows, Vec::new(), Arc::default()).await.unwrap();
    let parts: Vec<ExportPart> = parts.parts.try_collect().await.unwrap();
    assert_eq!((parts.len(), written.load(SeqCst)), (1, ROWS));
    // Two workers, two results ahead and one at the writer: a page or two each.
    assert!(most_held.load(SeqCst) <= 10_000, "{} rows were held", most_held.load(SeqCst));
}
