//! Reads merged settings key by key and collects what is wrong with them.

use crate::config::duration;
use crate::config::raw::Merged;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tollbook_kit::fault::{Detail, Fault, InvalidKind};
use toml::Value;

/// Why a key is there with its type: a test reads all of them.
const IS_THERE: &str = "every key that is read is in the embedded file, and merging keeps its type";

/// What a room says of a wrong value, without the name that it has there.
pub(super) fn reason_of(fault: &Fault) -> String {
    fault.details().first().map_or_else(|| fault.message().to_owned(), |detail| detail.reason.clone())
}

/// Reads settings. After a fault it goes on with any value: [`Reader::finish`] refuses in the end.
pub(super) struct Reader<'m> {
    merged: &'m Merged,
    wrong: Vec<Detail>,
    read: BTreeSet<String>,
}

impl<'m> Reader<'m> {
    /// Reads these; what was wrong in merging is taken over.
    pub(super) fn new(merged: &'m Merged) -> Self {
        Self { merged, wrong: merged.wrong.clone(), read: BTreeSet::new() }
    }

    /// A text as it stands.
    pub(super) fn text(&mut self, path: &str) -> &'m str {
        self.value(path).as_str().expect(IS_THERE)
    }

    /// A path; none when it is empty.
    pub(super) fn path(&mut self, path: &str) -> Option<PathBuf> {
        Some(self.text(path)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, path: &str) -> bool {
        self.value(path).as_bool().expect(IS_THERE)
    }

    /// A whole number within bounds.
    pub(super) fn count(&mut self, path: &str, bounds: RangeInclusive<usize>) -> usize {
        let value = self.value(path).as_integer().expect(IS_THERE);
        let (least, most) = (*bounds.start(), *bounds.end());
        usize::try_from(value).ok().filter(|count| bounds.contains(count)).unwrap_or_else(|| {
            self.wrong(path, format!("must be between {least} and {most}"));
            least
        })
    }

    /// A number of requests, at least one.
    pub(super) fn permits(&mut self, path: &str) -> u32 {
        u32::try_from(self.count(path, 1..=1_000_000)).unwrap_or(u32::MAX)
    }

    /// A whole number of seconds, a second to a day.
    pub(super) fn seconds(&mut self, path: &str) -> Duration {
        Duration::from_secs(self.count(path, 1..=86_400) as u64)
    }

    /// A duration, a second to a day.
    pub(super) fn duration(&mut self, path: &str) -> Duration {
        self.duration_from(path, Duration::from_secs(1))
    }

    /// A duration, `least` to a day.
    pub(super) fn duration_from(&mut self, path: &str, least: Duration) -> Duration {
        let most = Duration::from_secs(86_400);
        duration(self.text(path)).filter(|given| (least..=most).contains(given)).unwrap_or_else(|| {
            self.wrong(path, format!("must be a duration from \"{}s\" to \"24h\"", least.as_secs()));
            least
        })
    }

    /// A list whose items are read one by one; `must` says what they are.
    pub(super) fn list<T: FromStr>(&mut self, path: &str, must: &str) -> Vec<T> {
        self.list_of(path, must, |item| item.parse().ok())
    }

    /// A list whose items `read` takes or leaves.
    pub(super) fn list_of<T>(&mut self, path: &str, must: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let items = self.value(path).as_array().expect(IS_THERE);
        let taken: Vec<T> =
            items.iter().filter_map(|item| read(item.as_str().expect(IS_THERE).trim())).collect();
        if taken.len() < items.len() {
            self.wrong(path, must);
        }
        taken
    }

    /// Notes that the value of a key is wrong, and where it comes from.
    pub(super) fn wrong(&mut self, path: &str, reason: impl Into<String>) {
        let mut reason = reason.into();
        if let Some(origin) = self.merged.origins.get(path) {
            reason.push_str(&format!(" (it is set by {origin})"));
        }
        self.wrong.push(Detail { name: path.into(), reason, kind: InvalidKind::InvalidParameter });
    }

    /// The end of reading.
    ///
    /// # Errors
    /// `invalid`, with everything that was wrong.
    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Fault::from_details(self.wrong)) }
    }

    fn value(&mut self, path: &str) -> &'m Value {
        self.read.insert(path.to_owned());
        let (folder, key) = path.split_once('.').unwrap_or(("", path));
        let settings = &self.merged.settings;
        let table =
            if folder.is_empty() { Some(settings) } else { settings.get(folder).and_then(Value::as_table) };
        table.and_then(|table| table.get(key)).expect(IS_THERE)
    }

    /// Keys that nobody asked for so far.
    #[cfg(test)]
    pub(super) fn unread(&self) -> Vec<String> {
        let keys = self.merged.settings.iter().flat_map(|(key, value)| match value {
            Value::Table(inner) => inner.keys().map(|name| format!("{key}.{name}")).collect(),
            _ => vec![key.clone()],
        });
        keys.filter(|key| !self.read.contains(key)).collect()
    }
}
