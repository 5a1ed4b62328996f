//! The month of calls: generated, taken in through the journal and compacted into the lake, once per size.

use super::options::Options;
use super::store::Store;
use super::{Trouble, figures};
use futures::StreamExt;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbook_connect::generated::{GeneratedCalls, GeneratedSettings};
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::Caller;
use tollbook_model::audit::{AuditObject, Outcome};
use tollbook_model::call::{Admission, CallField, FieldProblem};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{Committed, Intake, RecordSink, Tenants};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{Tenant, TenantName};

/// Records of one request.
pub(crate) const BATCH: u64 = 5_000;
const FIRST_DAY: Date = date(2026, 10, 1);
const FIRST_DAY_MS: i64 = 1_790_812_800_000;
const DAY_MS: i64 = 86_400_000;
const SEED: u64 = 20_261_001;
/// File beside the data that says how it was made; without it a folder is not ours to use.
const FACTS_FILE: &str = "benchmark.json";

/// How the month was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Records.
    pub(crate) rows: u64,
    /// Days.
    pub(crate) days: u32,
    /// Seconds of generating and taking in, all days together.
    pub(crate) ingest_seconds: f64,
    /// Seconds of compaction, all days together.
    pub(crate) compaction_seconds: f64,
    /// A number that is reached often, for the filtered export.
    pub(crate) number: String,
}

/// A month at hand.
#[derive(Debug)]
pub(crate) struct Month {
    pub(crate) folder: PathBuf,
    pub(crate) facts: Facts,
    /// The lake's files in order.
    pub(crate) files: Vec<PathBuf>,
}

impl Month {
    /// The day in the middle, in milliseconds.
    pub(crate) fn middle_day_ms(&self) -> (i64, i64) {
        let from = FIRST_DAY_MS + i64::from(self.facts.days / 2) * DAY_MS;
        (from, from + DAY_MS)
    }

    /// The lake's files, one a line.
    pub(crate) fn file_list(&self) -> String {
        self.files.iter().map(|file| format!("{}\n", file.display())).collect()
    }
}

/// The calls of a month of this size.
pub(crate) fn calls(rows: u64, days: u32) -> GeneratedCalls {
    let calls_per_day = (rows / u64::from(days.max(1))).max(1);
    GeneratedCalls::new(GeneratedSettings { seed: SEED, first_day: FIRST_DAY, days, calls_per_day })
}

/// The month that `options` name: the one in its folder, or a new one.
pub(crate) async fn at_hand(options: &Options) -> Result<Month, Trouble> {
    let folder = fs::canonicalize(options.month_folder()).unwrap_or_else(|_| options.month_folder());
    let facts = match fs::read_to_string(folder.join(FACTS_FILE)) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => make(options, &folder).await?,
    };
    let Facts { rows, days, .. } = facts;
    if (rows, days) != (calls(options.rows, options.days).total(), options.days) {
        return Err(
            format!("{} holds {rows} records of {days} days; name another --dir", folder.display()).into()
        );
    }
    let store = Store::open(&folder).await?;
    let snapshot = store.snapshot().await?;
    store.catalog.close().await;
    if !snapshot.batches.is_empty() || snapshot.parts.iter().map(|part| part.rows).sum::<u64>() != rows {
        return Err(format!("{} was not made to the end; remove it", folder.display()).into());
    }
    let files = snapshot.parts.iter().map(|part| folder.join(&part.path)).collect();
    Ok(Month { folder, facts, files })
}

async fn make(options: &Options, folder: &Path) -> Result<Facts, Trouble> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(
            format!("{} is not empty and no benchmark's; name another --dir", folder.display()).into()
        );
    }
    let store = Store::open(folder).await?;
    let tenant = tenant();
    let object = AuditObject::new("tenant", &tenant.name);
    let process = Caller::system(tenant.name.clone());
    let entry = process.entry(store.clock.now_ms(), "tenant.create", Some(object), Outcome::Success);
    store.catalog.create(tenant.clone(), entry).await?;
    let supervisor = Supervisor::new();
    let (intake, compaction) = (store.intake(&supervisor), store.compaction());
    let mut calls = calls(options.rows, options.days);
    let (rows, per_day) = (calls.total(), calls.total() / u64::from(options.days));
    println!("making a month of {} records in {}", figures::grouped(rows as f64), folder.display());

    let seconds = || store.clock.monotonic().as_secs_f64();
    let (mut ingest_seconds, mut compaction_seconds, mut number) = (0.0, 0.0, String::new());
    for day in 0..options.days {
        let start = seconds();
        let taking = Taking { intake: &intake, tenant: &tenant, received_at_ms: store.clock.now_ms() };
        calls = taking.take_in(calls, per_day, &mut number).await?;
        let taken = seconds();
        compaction.compact_now().await?;
        ingest_seconds += taken - start;
        compaction_seconds += seconds() - taken;
        println!(
            "  day {:>2}: in {:>7}/s, compacted {:>7}/s",
            day + 1,
            figures::grouped(per_day as f64 / (taken - start)),
            figures::grouped(per_day as f64 / (seconds() - taken)),
        );
    }
    store.sweep().round().await?;
    let late = supervisor.stop(Duration::from_secs(30)).await;
    store.catalog.close().await;
    if !late.is_empty() {
        return Err(format!("tasks that did not stop: {}", late.join(", ")).into());
    }
    let facts = Facts { rows, days: options.days, ingest_seconds, compaction_seconds, number };
    fs::write(folder.join(FACTS_FILE), serde_json::to_string_pretty(&facts)?)?;
    Ok(facts)
}

/// The tenant of the month, with the product's defaults. Its retention outlasts any month's age.
fn tenant() -> Tenant {
    Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0).with_cdr_days(36_500)
}

struct Taking<'m> {
    intake: &'m dyn Intake,
    tenant: &'m Tenant,
    received_at_ms: i64,
}

/// A filled sink, the calls that are left, and a number that was reached.
type Filled = (Box<dyn RecordSink>, GeneratedCalls, Option<String>);

impl Taking<'_> {
    /// Takes in the next `rows` calls; the next batch is made while one is being committed.
    async fn take_in(
        &self,
        mut calls: GeneratedCalls,
        rows: u64,
        number: &mut String,
    ) -> Result<GeneratedCalls, Trouble> {
        let mut commits = futures::stream::FuturesOrdered::new();
        let mut left = rows;
        while left > 0 {
            let count = left.min(BATCH);
            left -= count;
            let sink = self.intake.open(self.tenant, Dataset::Cdr);
            let (tenant, received_at_ms) = (self.tenant.clone(), self.received_at_ms);
            let filling =
                tokio::task::spawn_blocking(move || fill(sink, calls, count, &tenant, received_at_ms));
            let committing = async { if commits.len() > 1 { commits.next().await } else { None } };
            let (filled, committed) = tokio::join!(filling, committing);
            check(committed)?;
            let (sink, rest, reached) = filled?.map_err(|problem| problem.to_string())?;
            calls = rest;
            number.clone_from(&reached.unwrap_or_default());
            commits.push_back(sink.commit());
        }
        while let Some(committed) = commits.next().await {
            check(Some(committed))?;
        }
        Ok(calls)
    }
}

fn fill(
    mut sink: Box<dyn RecordSink>,
    mut calls: GeneratedCalls,
    count: u64,
    tenant: &Tenant,
    received_at_ms: i64,
) -> Result<Filled, FieldProblem> {
    let admission = Admission::new(tenant, received_at_ms);
    let (mut problem, mut number) = (None, None);
    calls.fill(count, &mut |call| {
        let mut record = call.clone();
        match admission.admit(&mut record) {
            Ok(()) => sink.push(&record),
            Err(found) => problem = Some(found),
        }
        number = number.take().or_else(|| record.text(CallField::Did).map(str::to_owned));
    });
    problem.map_or(Ok((sink, calls, number)), Err)
}

fn check(committed: Option<Result<Committed, Fault>>) -> Result<(), Trouble> {
    match committed.transpose()? {
        Some(Committed { duplicates, revisions, .. }) if duplicates + revisions > 0 => {
            Err("the generator repeated itself".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_day_is_the_first_moment() {
        let midnight = FIRST_DAY.to_zoned(jiff::tz::TimeZone::UTC).expect("a day");
        assert_eq!(midnight.timestamp().as_millisecond(), FIRST_DAY_MS);
    }
}
