//! How far a job or a download is: a bar at a terminal, lines now and then where there is none. All on standard error.

use super::job::Job;
use crate::terminal::complain;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;
use tollbook_model::export_job::JobState;

/// Steps in which lines are written, in percent.
const STEP_PERCENT: u8 = 10;
const TICK: Duration = Duration::from_millis(150);
/// Forms of the bar; messages take what room is left in the line.
const ASKING: &str = "{spinner} {wide_msg}";
const JOB: &str = "{spinner} {bar:20} {wide_msg}";
const FILE: &str = "{spinner} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}";
const STREAM: &str = "{spinner} {bytes} {bytes_per_sec} {wide_msg}";

/// Shows progress. What is shown at a terminal is wiped when it is dropped.
#[derive(Debug)]
pub(crate) struct Display {
    bar: ProgressBar,
    has_terminal: bool,
    /// What the last line was about.
    last: Option<(JobState, Option<u64>, u8)>,
}

impl Display {
    /// A display on standard error.
    pub(crate) fn new() -> Self {
        let has_terminal = std::io::stderr().is_terminal();
        let bar = if has_terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.set_style(style(ASKING));
        if has_terminal {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, has_terminal, last: None }
    }

    /// What writes a line above the bar.
    pub(crate) fn notice(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let bar = self.bar.clone();
        move |text| bar.suspend(|| complain(text))
    }

    /// Shows how far a job is.
    pub(crate) fn job(&mut self, job: &Job) {
        let percent = job.told.progress.percent;
        if self.has_terminal {
            self.bar.set_style(style(JOB));
            self.bar.set_length(100);
            self.bar.set_position(percent.into());
            self.bar.set_message(story(job));
            return;
        }
        let now = (job.state, job.told.queue_position, percent / STEP_PERCENT);
        if self.last.replace(now) != Some(now) {
            complain(&format!("job {} is {}", job.told.id, story(job)));
        }
    }

    /// Shows from now on how much of a file has come.
    pub(crate) fn begin_file(&self, name: &str, bytes: Option<u64>, written: u64) {
        if self.has_terminal {
            self.bar.set_style(style(if bytes.is_some() { FILE } else { STREAM }));
            match bytes {
                Some(bytes) => self.bar.set_length(bytes),
                None => self.bar.unset_length(),
            }
            self.bar.set_message(name.to_owned());
            self.bar.set_position(written);
            // Speed is that of now, not of what came long ago.
            self.bar.reset_eta();
            return;
        }
        let of = bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes"));
        let behind = if written > 0 { format!(", going on behind {written}") } else { String::new() };
        complain(&format!("fetching {name}{of}{behind}"));
    }

    /// So much of the file has come.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How far a job is, in words.
fn story(job: &Job) -> String {
    let progress = &job.told.progress;
    match (job.state, job.told.queue_position) {
        (JobState::Queued, Some(place)) => format!("queued, at place {place}"),
        (JobState::Running, _) => {
            let left = progress.eta_s.map_or_else(String::new, |seconds| format!(", about {seconds} s left"));
            let (done, of) = (progress.rows_done, progress.rows_estimated);
            format!("running: {} %, {done} of about {of} records{left}", progress.percent)
        }
        (state, _) => state.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_told_in_words() {
        let words = |job: serde_json::Value| story(&Job::of(job).unwrap());
        assert_eq!(words(json!({"id": "j", "status": "queued", "queue_position": 3})), "queued, at place 3");
        let progress = json!({"rows_done": 5, "rows_estimated": 20, "percent": 24, "eta_s": 7});
        let running = words(json!({"id": "j", "status": "running", "progress": progress}));
        assert_eq!(running, "running: 24 %, 5 of about 20 records, about 7 s left");
        let progress = json!({"rows_done": 0, "rows_estimated": 20, "percent": 0, "eta_s": null});
        let begun = words(json!({"id": "j", "status": "running", "progress": progress}));
        assert_eq!(begun, "running: 0 %, 0 of about 20 records");
        assert_eq!(words(json!({"id": "j", "status": "ready"})), "ready");
    }

    #[test]
    fn templates_are_templates() {
        for template in [ASKING, JOB, FILE, STREAM] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
