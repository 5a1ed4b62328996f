//! The wording of mails that tell of a job's end, and when one is tried again (`natalia.md` section 10).
//!
//! A mail may lie in many hands: it holds no data, no filter, no signed link and no text that a user has chosen.

use super::form::{JobEvent, JobNotice};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::time::Duration;
use tollbook_model::export_job::ExportJob;
use tollbook_model::ports::Mail;
use tollbook_model::time_range::{TimeRange, instant_text};

/// Waits after the first failed attempts; the last one is repeated.
const WAITS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
];
/// How long after its making a mail is not attempted again.
pub(super) const GIVES_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// More attempts than fit into that time: they end also where the clock is of no help.
const MOST_ATTEMPTS: u32 = 64;

/// The wait after so many failed attempts, 1 and up, spread by up to a fifth; none when it is given up.
pub(super) fn wait_after(failed: u32, random: f64) -> Option<Duration> {
    let last = WAITS.len() - 1;
    let at = usize::try_from(failed.checked_sub(1)?).map_or(last, |at| at.min(last));
    (failed < MOST_ATTEMPTS).then(|| WAITS[at].mul_f64(0.8 + 0.4 * random))
}

/// The mails that tell of this event, one for each person.
pub(super) fn compose(notice: &JobNotice<'_>) -> Vec<Mail> {
    let mut told: Vec<&str> = Vec::new();
    for address in &notice.job.contacts.notify_email {
        if !told.iter().any(|other| other.eq_ignore_ascii_case(address)) {
            told.push(address);
        }
    }
    let (subject, text) = (subject(notice), text(notice));
    let to_each = told.into_iter().enumerate().map(|(number, address)| Mail {
        id: format!("{}.{}.{number}", notice.job.id, word(notice.event)),
        to: address.to_owned(),
        subject: subject.clone(),
        text: text.clone(),
    });
    to_each.collect()
}

fn word(event: JobEvent) -> &'static str {
    match event {
        JobEvent::Ready => "ready",
        JobEvent::Failed => "failed",
        JobEvent::Cancelled => "cancelled",
    }
}

fn subject(notice: &JobNotice<'_>) -> String {
    let ended = match notice.event {
        JobEvent::Ready => "is ready",
        JobEvent::Failed => "has failed",
        JobEvent::Cancelled => "was cancelled",
    };
    format!("Your export of {} {ended}", notice.job.order.query.selection.dataset.name())
}

fn text(notice: &JobNotice<'_>) -> String {
    let (job, mut text) = (notice.job, format!("{}.\n\n", subject(notice)));
    let mut line = |name: &str, value: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
    };
    line("Export:", &job.id.to_string());
    line("Dataset:", job.order.query.selection.dataset.name());
    line("Range:", &range(job));
    match notice.event {
        JobEvent::Ready => {
            line("Rows:", &job.files.iter().map(|file| file.rows).sum::<u64>().to_string());
            line("Size:", &size(job.files.iter().map(|file| file.bytes).sum()));
            if let Some(expires_at_ms) = job.expires_at_ms {
                line("Kept to:", &moment(expires_at_ms, &TimeZone::UTC));
            }
        }
        JobEvent::Failed => {
            if let Some(error) = &job.error {
                line("Reason:", &format!("{} ({})", error.message.replace(['\r', '\n'], " "), error.code));
            }
        }
        JobEvent::Cancelled => {}
    }
    let (server, id) = (notice.public_url, job.id);
    let verb = if notice.event == JobEvent::Ready { "download" } else { "show" };
    let _ =
        write!(text, "\nMore of it, with a token of yours:\ntollbook jobs {verb} {id} --server {server}\n");
    let _ = writeln!(text, "{server}/api/v1/export-jobs/{id}");
    text
}

/// The range as it was asked for, else the moments it means; whatever comes first for an open one.
fn range(job: &ExportJob) -> String {
    let selection = &job.order.query.selection;
    let (range, zone) = (&selection.range, &selection.timezone);
    let whole = TimeRange::all();
    let from = asked(job.order.from.as_deref())
        .or_else(|| (range.from_ms() > whole.from_ms()).then(|| moment(range.from_ms(), zone)));
    let to = asked(job.order.to.as_deref())
        .or_else(|| (range.to_ms() < whole.to_ms()).then(|| moment(range.to_ms(), zone)));
    let zone = zone.iana_name().unwrap_or("UTC");
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} to {to} ({zone})"),
        (Some(from), None) => format!("from {from} ({zone})"),
        (None, Some(to)) => format!("to {to} ({zone})"),
        (None, None) => "everything".to_owned(),
    }
}

/// A limit of the range as the caller wrote it, unless it is longer than any usual way to write one.
fn asked(text: Option<&str>) -> Option<String> {
    let usual = |text: &&str| {
        text.len() <= 40 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-+:. ".contains(c))
    };
    text.filter(usual).map(str::to_owned)
}

/// A moment on the clock of a zone.
fn moment(ms: i64, zone: &TimeZone) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return instant_text(ms) };
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A size that can be read: its bytes in groups of three digits.
fn size(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + " bytes"
}
