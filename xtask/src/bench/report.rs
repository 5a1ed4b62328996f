//! The report: tables for people, JSON for machines, every goal with its verdict.

use super::contest::{Contender, OURS};
use super::figures::{Spread, grouped, mebibytes, megabytes};
use super::goals::{self, verdict};
use super::http_export::Download;
use super::http_ingest::Ingest;
use super::http_jobs::JobRun;
use super::month::{Facts, Month};
use super::options::{Options, bench_folder};
use super::scenario::Scenario;
use super::signing::Signed;
use super::storage::Storage;
use super::{Trouble, store};
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use tollbook_model::format::ExportFormat;

/// Everything measured so far.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    rounds: usize,
    threads: usize,
    month: Facts,
    storage: Option<Storage>,
    contests: Vec<Contest>,
    signing: Vec<Signed>,
    downloads: Vec<Download>,
    jobs: Vec<JobRun>,
    ingest: Option<Ingest>,
}

#[derive(Debug, Serialize)]
struct Contest {
    name: String,
    format: &'static str,
    contenders: Vec<Contender>,
    #[serde(skip)]
    scenario: Scenario,
}

impl Report {
    /// A report on this month, without figures.
    pub(crate) fn new(options: &Options, month: &Month) -> Self {
        Self {
            machine: machine(),
            rounds: options.rounds(),
            threads: store::THREADS,
            month: month.facts.clone(),
            storage: None,
            contests: Vec::new(),
            signing: Vec::new(),
            downloads: Vec::new(),
            jobs: Vec::new(),
            ingest: None,
        }
    }

    /// Adds what records cost on disk.
    pub(crate) fn add_storage(&mut self, storage: Storage) {
        self.storage = Some(storage);
    }

    /// Adds what everybody needed for one export.
    pub(crate) fn add_contest(&mut self, scenario: &Scenario, contenders: Vec<Contender>) {
        let (name, format) = (scenario.name(), scenario.format.name());
        self.contests.push(Contest { name, format, contenders, scenario: scenario.clone() });
    }

    /// Adds what signing costs.
    pub(crate) fn add_signing(&mut self, signing: Vec<Signed>) {
        self.signing = signing;
    }

    /// Adds exports over HTTP, and the same as jobs.
    pub(crate) fn add_http_exports(&mut self, downloads: Vec<Download>, jobs: Vec<JobRun>) {
        (self.downloads, self.jobs) = (downloads, jobs);
    }

    /// Adds ingest.
    pub(crate) fn add_ingest(&mut self, ingest: Ingest) {
        self.ingest = Some(ingest);
    }

    /// Prints the report and writes it to `target/bench/report.{json,md}`.
    pub(crate) fn write(&self) -> Result<(), Trouble> {
        let text = self.text()?;
        println!("\n{text}");
        fs::write(bench_folder().join("report.md"), text)?;
        fs::write(bench_folder().join("report.json"), serde_json::to_string_pretty(self)?)?;
        println!("written to {}", bench_folder().join("report.{md,json}").display());
        Ok(())
    }

    fn text(&self) -> Result<String, Trouble> {
        let mut text = String::new();
        let Facts { rows, days, ingest_seconds, compaction_seconds, .. } = &self.month;
        let per_second = |seconds: f64| grouped(*rows as f64 / seconds);
        writeln!(text, "# Benchmark\n\n{}; {} threads per export.", self.machine, self.threads)?;
        writeln!(
            text,
            "{} records over {days} days; ingest in process {} records/s, compaction {} records/s.",
            grouped(*rows as f64),
            per_second(*ingest_seconds),
            per_second(*compaction_seconds)
        )?;
        if let Some(storage) = &self.storage {
            push_storage(&mut text, storage)?;
        }
        for contest in &self.contests {
            push_contest(&mut text, contest, *rows)?;
        }
        if !self.signing.is_empty() {
            push_signing(&mut text, &self.signing)?;
        }
        if !self.downloads.is_empty() {
            push_downloads(&mut text, &self.downloads)?;
            push_jobs(&mut text, &self.jobs, &self.downloads)?;
        }
        if let Some(ingest) = &self.ingest {
            push_ingest(&mut text, ingest)?;
        }
        Ok(text)
    }
}

fn push_storage(text: &mut String, storage: &Storage) -> Result<(), Trouble> {
    let per_record = |bytes: u64| bytes as f64 / storage.rows.max(1) as f64;
    let share = storage.share();
    writeln!(text, "\n## Storage\n")?;
    writeln!(
        text,
        "{:.1} B a record ({} files, {} row groups, control database {:.2} B of it); CSV with the default columns \
         {:.1} B. Share {share:.3}: goal {:.3} {}, aim {:.3} {}.\n",
        per_record(storage.lake_bytes + storage.control_bytes),
        storage.files,
        storage.row_groups,
        per_record(storage.control_bytes),
        per_record(storage.csv_bytes),
        goals::MOST_STORED_SHARE,
        verdict(share <= goals::MOST_STORED_SHARE),
        goals::AIMED_STORED_SHARE,
        verdict(share <= goals::AIMED_STORED_SHARE),
    )?;
    writeln!(text, "| column | B a record | share | before compression | written as |")?;
    writeln!(text, "|---|---:|---:|---:|---|")?;
    for column in &storage.columns {
        let written_as: Vec<&str> = column.written_as.iter().map(String::as_str).collect();
        writeln!(
            text,
            "| {} | {:.3} | {:.1} % | {:.3} | {} |",
            column.name,
            per_record(column.bytes),
            100.0 * column.bytes as f64 / storage.lake_bytes.max(1) as f64,
            per_record(column.uncompressed_bytes),
            written_as.join(" "),
        )?;
    }
    Ok(())
}

fn push_contest(text: &mut String, contest: &Contest, month_rows: u64) -> Result<(), Trouble> {
    let whole = contest.scenario.is_whole();
    writeln!(text, "\n## Export: {}\n", contest.name)?;
    writeln!(
        text,
        "| who | s (min..max, n) | CPU s | records/s | MB/s | MB | memory above idle MiB | × ours |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
    let ours = contest.contenders.iter().find(|one| one.name == OURS).ok_or("no figure of ours")?;
    for one in &contest.contenders {
        let rows = one.rows.or(ours.rows).or(whole.then_some(month_rows));
        let Spread { median, min, max, runs } = one.seconds;
        writeln!(
            text,
            "| {} {} | {median:.3} ({min:.3}..{max:.3}, {runs}) | {:.2} | {} | {:.0} | {:.1} | {:.1} | {:.2} |",
            one.name,
            one.version,
            one.cpu_seconds.median,
            rows.map_or_else(|| "-".to_owned(), |rows| grouped(rows as f64 / median)),
            megabytes(one.bytes) / median,
            megabytes(one.bytes),
            mebibytes(one.memory_above_idle_bytes),
            median / ours.seconds.median,
        )?;
    }
    writeln!(text)?;
    push_verdicts(text, contest, ours)
}

fn push_verdicts(text: &mut String, contest: &Contest, ours: &Contender) -> Result<(), Trouble> {
    let others = contest.contenders.iter().filter(|one| one.name != OURS);
    let best = others.min_by(|a, b| a.seconds.median.total_cmp(&b.seconds.median));
    if let Some(best) = best {
        let ratio = best.seconds.median / ours.seconds.median;
        let cpu_ratio = best.cpu_seconds.median / ours.cpu_seconds.median;
        write!(text, "- best peer ({}) / Tollbook: {ratio:.2} (processor time {cpu_ratio:.2})", best.name)?;
        match goals::least_ratio(contest.scenario.format).filter(|_| contest.scenario.is_whole()) {
            Some(least) => writeln!(text, ", floor {least}: {}", verdict(ratio >= least))?,
            None => writeln!(text)?,
        }
        if contest.scenario.format == ExportFormat::CsvGz {
            let holds = ours.bytes <= best.bytes;
            writeln!(text, "- size no larger than {}'s: {}", best.name, verdict(holds))?;
        }
    }
    for one in &contest.contenders {
        if let (Some(theirs), Some(own)) = (one.rows, ours.rows)
            && theirs != own
        {
            writeln!(
                text,
                "- {} WROTE {theirs} RECORDS, TOLLBOOK {own}: the figures do not compare",
                one.name
            )?;
        }
    }
    let memory = ours.memory_above_idle_bytes;
    writeln!(
        text,
        "- memory above idle {:.1} MiB, at most {:.0}: {}",
        mebibytes(memory),
        mebibytes(goals::MOST_EXPORT_MEMORY),
        verdict(memory < goals::MOST_EXPORT_MEMORY)
    )?;
    if let Some(first) = ours.first_byte_seconds {
        let second = ours.second_chunk_seconds.map_or(f64::NAN, |second| second.median);
        writeln!(
            text,
            "- first byte {:.1} ms ({:.1}..{:.1}), at most {:.0}: {}; next chunk {:.1} ms",
            first.median * 1e3,
            first.min * 1e3,
            first.max * 1e3,
            goals::MOST_FIRST_BYTE_SECONDS * 1e3,
            verdict(first.median < goals::MOST_FIRST_BYTE_SECONDS),
            second * 1e3,
        )?;
    }
    Ok(())
}

fn push_signing(text: &mut String, signing: &[Signed]) -> Result<(), Trouble> {
    let unsigned = signing.first().ok_or("no figure without signatures")?;
    writeln!(text, "\n## Signing: day ndjson\n")?;
    writeln!(text, "| sign | s (min..max, n) | CPU s | MB | × unsigned |")?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    for Signed { sign, seconds, cpu_seconds, bytes } in signing {
        let Spread { median, min, max, runs } = seconds;
        let (cpu, size) = (cpu_seconds.median, megabytes(*bytes));
        let ratio = median / unsigned.seconds.median;
        writeln!(
            text,
            "| {sign} | {median:.3} ({min:.3}..{max:.3}, {runs}) | {cpu:.2} | {size:.1} | {ratio:.2} |"
        )?;
    }
    Ok(())
}

fn push_downloads(text: &mut String, downloads: &[Download]) -> Result<(), Trouble> {
    writeln!(text, "\n## Exports of the month over HTTP\n")?;
    writeln!(text, "| format | s (min..max, n) | MB/s | first byte ms | server's memory above idle MiB | |")?;
    writeln!(text, "|---|---:|---:|---:|---:|---|")?;
    let mut formats: Vec<&str> = downloads.iter().map(|download| download.format).collect();
    formats.dedup();
    for format in formats {
        let of_format: Vec<&Download> = downloads.iter().filter(|one| one.format == format).collect();
        let spread = |figure: fn(&Download) -> f64| {
            Spread::of(of_format.iter().map(|one| figure(one))).ok_or("a format without a download")
        };
        let seconds = spread(|one| one.seconds)?;
        let first = spread(|one| one.first_byte_seconds * 1e3)?;
        let memory = spread(|one| mebibytes(one.memory_above_idle_bytes))?;
        let rate = spread(|one| megabytes(one.bytes) / one.seconds)?;
        let holds = first.median < goals::MOST_FIRST_BYTE_SECONDS * 1e3
            && memory.max < mebibytes(goals::MOST_EXPORT_MEMORY);
        writeln!(
            text,
            "| {format} | {:.3} ({:.3}..{:.3}, {}) | {:.0} | {:.1} ({:.1}..{:.1}) | {:.1} | {} |",
            seconds.median,
            seconds.min,
            seconds.max,
            seconds.runs,
            rate.median,
            first.median,
            first.min,
            first.max,
            memory.max,
            verdict(holds),
        )?;
    }
    Ok(())
}

/// Jobs beside the direct exports of the same run; no goal is set for them.
fn push_jobs(text: &mut String, jobs: &[JobRun], direct: &[Download]) -> Result<(), Trouble> {
    writeln!(text, "\n## The same as jobs\n")?;
    writeln!(
        text,
        "| format | s to ready (min..max, n) | of a direct export | s to fetch | server's memory above idle MiB |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    let mut formats: Vec<&str> = jobs.iter().map(|job| job.format).collect();
    formats.dedup();
    for format in formats {
        let of_format = || jobs.iter().filter(|job| job.format == format);
        let ready = Spread::of(of_format().map(|job| job.ready_seconds)).ok_or("a format without a job")?;
        let fetch = Spread::of(of_format().map(|job| job.fetch_seconds)).ok_or("a format without a job")?;
        let memory = of_format().map(|job| mebibytes(job.memory_above_idle_bytes)).fold(0.0, f64::max);
        let direct = direct.iter().filter(|one| one.format == format).map(|one| one.seconds);
        let direct = Spread::of(direct).ok_or("a format without a download")?;
        writeln!(
            text,
            "| {format} | {:.3} ({:.3}..{:.3}, {}) | {:.2} | {:.3} | {memory:.1} |",
            ready.median,
            ready.min,
            ready.max,
            ready.runs,
            ready.median / direct.median,
            fetch.median,
        )?;
    }
    Ok(())
}

fn push_ingest(text: &mut String, ingest: &Ingest) -> Result<(), Trouble> {
    let batched = ingest.batched_records as f64 / ingest.batched_seconds;
    let single = ingest.single_records as f64 / ingest.single_seconds;
    writeln!(text, "\n## Ingest over HTTP\n")?;
    writeln!(
        text,
        "- one client, batches: {} records in {:.2} s = {} records/s ({:.0} MB/s of NDJSON), at least {}: {}; an \
         answer takes {:.1} ms (p50), {:.1} ms (p99)",
        grouped(ingest.batched_records as f64),
        ingest.batched_seconds,
        grouped(batched),
        megabytes(ingest.batched_bytes) / ingest.batched_seconds,
        grouped(goals::LEAST_INGEST_RATE),
        verdict(batched >= goals::LEAST_INGEST_RATE),
        ingest.batch_p50_seconds * 1e3,
        ingest.batch_p99_seconds * 1e3,
    )?;
    writeln!(
        text,
        "- 64 clients, single records: {} records/s, acknowledged in {:.1} ms (p50), {:.1} ms (p99), {:.1} ms \
         (slowest), p99 at most {:.0}: {}; {} answers asked to come later",
        grouped(single),
        ingest.single_p50_seconds * 1e3,
        ingest.single_p99_seconds * 1e3,
        ingest.single_max_seconds * 1e3,
        goals::MOST_ACKNOWLEDGE_SECONDS * 1e3,
        verdict(ingest.single_p99_seconds < goals::MOST_ACKNOWLEDGE_SECONDS),
        ingest.single_refused,
    )?;
    writeln!(text, "- the server's memory at most {:.0} MiB", mebibytes(ingest.server_peak_rss_bytes))?;
    Ok(())
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    format!(
        "{processors} processors, {}, load before the run {load}",
        model.map_or("unknown", |(_, model)| model)
    )
}
