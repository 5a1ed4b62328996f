//! `tollbook ingest`: files and folders of a PBX, sent to a service.

mod bodies;

use crate::command_line::IngestFlags;
use crate::remote::{NOT_OURS, Remote, source_path};
use crate::terminal::{complain, say};
use bodies::{Bodies, FileBody};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Code, Fault};

/// Size of a body: large enough to be quick, small enough to be tried again.
const BODY_BYTES: usize = 16 * 1024 * 1024;
/// Reasons shown per file.
const MOST_REASONS: usize = 5;

/// What the service did with a body, or with all bodies of a file.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) revisions: u64,
    pub(crate) rejected: u64,
    #[serde(default)]
    errors: Vec<RowError>,
}

#[derive(Debug, Clone, Deserialize)]
struct RowError {
    line: u64,
    reason: String,
}

impl Counts {
    /// Adds what became of a further body.
    pub(crate) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.revisions += other.revisions;
        self.rejected += other.rejected;
        let room = MOST_REASONS.saturating_sub(self.errors.len());
        self.errors.extend(other.errors.into_iter().take(room));
    }
}

/// Sends everything that the flags name.
///
/// # Errors
/// `invalid` when anything was rejected, after all files were tried; else why nothing more could be sent.
pub(crate) async fn run(flags: IngestFlags) -> Result<(), Fault> {
    let files = files_of(&flags.files)?;
    let remote = Remote::of(&flags.server)?;
    let header_lines = header_lines(&remote, &flags.pbx_alias).await?;
    let on_error = if flags.skip_bad_rows { "skip" } else { "reject" };
    let path = format!("{}/records?on_error={on_error}", source_path(&flags.pbx_alias));
    let bar = progress_bar(&files);
    let below_bar = bar.clone();
    let remote = remote.with_notice(move |text| below_bar.suspend(|| complain(text)));
    let mut outcomes = Vec::new();
    for file in &files {
        bar.set_message(file.display().to_string());
        let outcome = send_file(&remote, &path, file, header_lines, &bar).await;
        // A refused file says nothing about the next one; a refused token or a lost server does.
        let fatal = matches!(&outcome, Err(fault) if fault.code() != Code::Invalid);
        outcomes.push((file, outcome));
        if fatal {
            break;
        }
    }
    bar.finish_and_clear();
    report(outcomes, files.len())
}

async fn send_file(
    remote: &Remote,
    path: &str,
    file: &Path,
    header_lines: usize,
    bar: &ProgressBar,
) -> Result<Counts, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::parameter(file.display().to_string(), format!("cannot be read: {error}"))
    };
    let raw = bar.wrap_read(File::open(file).map_err(unreadable)?);
    let packed = file.extension().is_some_and(|extension| extension == "gz");
    // Unpacked here and not there: only what is unpacked can be cut where records end.
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let mut bodies = Bodies::new(reader, BODY_BYTES, header_lines);
    let mut counts = Counts::default();
    while let Some(body) = bodies.next_body().map_err(unreadable)? {
        counts.add(send(remote, path, body).await?);
    }
    Ok(counts)
}

/// Sends a piece of a file; refused rows are named by their line of the file.
async fn send(remote: &Remote, path: &str, body: FileBody) -> Result<Counts, Fault> {
    let FileBody { bytes, lines } = body;
    let in_file = |line| lines.in_file(line);
    let answer = remote.send_piece(path, bytes.into(), in_file).await?;
    let mut counts = counts_of(&answer)?;
    for error in &mut counts.errors {
        error.line = in_file(error.line);
    }
    Ok(counts)
}

/// Sends one body of records and reads what became of it.
///
/// # Errors
/// As [`Remote::send_records`].
pub(crate) async fn send_body(remote: &Remote, path: &str, body: Bytes) -> Result<Counts, Fault> {
    counts_of(&remote.send_records(path, body).await?)
}

fn counts_of(answer: &[u8]) -> Result<Counts, Fault> {
    serde_json::from_slice(answer).map_err(|_| Fault::new(Code::Unavailable, NOT_OURS))
}

/// How many lines at the start of a file name its columns, as the source's settings say. A token that may only post
/// records cannot ask; then files must not have such lines, or fit into one body.
async fn header_lines(remote: &Remote, alias: &str) -> Result<usize, Fault> {
    let source = match remote.look_up(&source_path(alias)).await {
        Ok(source) => source,
        Err(fault) if fault.code() == Code::Forbidden => return Ok(0),
        Err(fault) => return Err(fault),
    };
    let skipped = source["skip_rows"].as_u64().and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0);
    Ok(usize::from(source["header"] == true) + skipped)
}

/// The files that are named, and those of named folders and the folders below, by name. Hidden ones are left out.
fn files_of(named: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    for path in named {
        collect(path, &mut files)?;
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::parameter(path.display().to_string(), format!("cannot be read: {error}"))
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_link = entry.file_type().map_err(unreadable)?.is_symlink();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Links are followed only when they are named: a circle of them would never end.
        if !is_link && !is_hidden {
            inside.push(entry.path());
        }
    }
    inside.sort();
    inside.iter().try_for_each(|path| collect(path, files))
}

fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    let bytes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|data| data.len()).sum();
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}

/// Prints the table, and says whether all went well.
fn report(outcomes: Vec<(&PathBuf, Result<Counts, Fault>)>, named: usize) -> Result<(), Fault> {
    let row = |counts: &Counts, name: &str| {
        say(&format!(
            "{:>10} {:>10} {:>10} {:>10}  {name}",
            counts.accepted, counts.duplicates, counts.revisions, counts.rejected
        ));
    };
    say(&format!("{:>10} {:>10} {:>10} {:>10}  file", "accepted", "duplicates", "revisions", "rejected"));
    let mut total = Counts::default();
    let (mut refused, tried) = (0, outcomes.len());
    let mut fatal = None;
    for (file, outcome) in outcomes {
        let name = file.display().to_string();
        match outcome {
            Ok(counts) => {
                row(&counts, &name);
                for error in &counts.errors {
                    say(&format!("{:>45} line {}: {}", "", error.line, error.reason));
                }
                total.add(counts);
            }
            Err(fault) => {
                refused += 1;
                say(&format!("{:>43}  {name}: {}", "refused", fault.message()));
                if fault.code() != Code::Invalid {
                    fatal = Some(fault);
                }
            }
        }
    }
    row(&total, "in all");
    if let Some(fault) = fatal {
        return Err(fault.with_context(format!("{} files were not tried", named - tried)));
    }
    if refused > 0 || total.rejected > 0 {
        let text =
            format!("{refused} files were refused, and {} rows of the others rejected", total.rejected);
        return Err(Fault::new(Code::Invalid, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("b")).unwrap();
        for name in ["c.csv", "a.csv", ".hidden", "b/d.csv"] {
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
        let files = files_of(&[root.join("c.csv"), root.to_owned()]).unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["c.csv", "a.csv", "b/d.csv", "c.csv"]);
        assert!(files_of(&[root.join("none")]).is_err());
    }
}
