//! The chain of one tenant's audit log: every entry at its place, linked to the one before, and with the content that
//! its hash was made of.
//!
//! Entries come one after the other and are forgotten at once. Where they come from is not known here.

use super::broken::Broken;
use super::checkpoint::Checkpoint;
use super::hash_text::{hex_text, is_hash};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tollbook_model::audit::{FIRST_PREVIOUS, hash_of};
use tollbook_model::time_range::{Bound, instant_text};

/// A chain as far as it was read.
pub(super) struct Chain {
    from_seq: u64,
    checkpoint: Option<Checkpoint>,
    last: Option<Link>,
    entries: u64,
}

struct Link {
    seq: u64,
    hash: String,
}

impl Chain {
    /// A chain that must begin at `from_seq`, at least 1, and hold the checkpoint's entry.
    pub(super) fn new(from_seq: u64, checkpoint: Option<Checkpoint>) -> Self {
        Self { from_seq, checkpoint, last: None, entries: 0 }
    }

    /// Entries so far.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Place of the last entry.
    pub(super) fn last_seq(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.seq)
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// The first thing that is wrong with it; the chain is broken then, and takes no more.
    pub(super) fn take(&mut self, mut entry: Map<String, Value>) -> Result<(), Broken> {
        let seq = entry.get("seq").and_then(Value::as_u64);
        let hash = self.check(seq, &mut entry).map_err(|what| Broken { seq, what })?;
        self.entries += 1;
        self.last = seq.map(|seq| Link { seq, hash });
        Ok(())
    }

    fn check(&self, seq: Option<u64>, entry: &mut Map<String, Value>) -> Result<String, String> {
        let seq = seq.ok_or("its seq is missing or no whole number")?;
        self.check_place(seq)?;
        // A signature over the whole record, of an export that signs each; it came after the entry's own hash.
        entry.shift_remove("_sig");
        let said = match entry.shift_remove("hash") {
            Some(Value::String(text)) if is_hash(&text) => text,
            _ => return Err("its hash is missing or malformed".into()),
        };
        let previous = entry.get("prev_hash").and_then(Value::as_str).filter(|text| is_hash(text));
        let previous = previous.ok_or("its prev_hash is missing or malformed")?;
        self.check_link(seq, previous)?;
        let shown = entry.get("at").and_then(Value::as_str);
        let at = shown.and_then(in_utc).ok_or("its at is missing or no date-time with three decimals")?;
        entry.insert("at".into(), at.into());
        let computed = hash_of(entry).ok_or("it holds a number that no entry holds")?;
        if hex_text(computed) != said {
            return Err("its content is not the one that its hash was made of".into());
        }
        match &self.checkpoint {
            Some(checkpoint) if checkpoint.seq == seq && checkpoint.hash != said => {
                Err("the checkpoint was signed over another entry with this seq".into())
            }
            _ => Ok(said),
        }
    }

    fn check_place(&self, seq: u64) -> Result<(), String> {
        let Some(last) = &self.last else {
            return match seq {
                _ if seq == self.from_seq => Ok(()),
                _ if self.from_seq == 1 => Err(format!(
                    "the log begins here and not at seq 1; if what was before is past its retention, or is verified \
                     otherwise, say --from-seq {seq}"
                )),
                _ => Err(format!("the log begins here and not at seq {}", self.from_seq)),
            };
        };
        match last.seq.checked_add(1) {
            Some(next) if seq == next => Ok(()),
            Some(next) if seq > next => {
                Err(format!("entries are missing before it: it follows seq {}", last.seq))
            }
            _ => Err(format!("it is repeated or misplaced: it follows seq {}", last.seq)),
        }
    }

    fn check_link(&self, seq: u64, previous: &str) -> Result<(), String> {
        match &self.last {
            Some(last) if last.hash != previous => {
                Err("its prev_hash is not the hash of the entry before".into())
            }
            None if seq == 1 && previous != hex_text(FIRST_PREVIOUS) => {
                Err("its prev_hash is not 64 zeros, as the first one's is".into())
            }
            _ => Ok(()),
        }
    }

    /// Ends the chain, and says what of it could not be told.
    ///
    /// # Errors
    /// What is missing at its end.
    pub(super) fn finish(&self, say: &mut dyn FnMut(&str)) -> Result<(), String> {
        let Some(last) = &self.last else { return Err("there is no entry in the log".into()) };
        match &self.checkpoint {
            Some(checkpoint) if checkpoint.seq < self.from_seq => {
                let (seq, from) = (checkpoint.seq, self.from_seq);
                return Err(format!("the checkpoint is of seq {seq}, before the log begins at seq {from}"));
            }
            Some(checkpoint) if checkpoint.seq > last.seq => {
                let (seq, last) = (checkpoint.seq, last.seq);
                return Err(format!(
                    "the log ends at seq {last}, but the checkpoint was signed at seq {seq}"
                ));
            }
            Some(checkpoint) if checkpoint.seq < last.seq => {
                let newer = checkpoint.seq + 1;
                say(&format!("note: entries from seq {newer} on are newer than the checkpoint"));
            }
            Some(_) => {}
            None => {
                say("note: without a signed checkpoint, a cut at the end or a chain made anew is not seen")
            }
        }
        if self.from_seq > 1 {
            say(&format!("note: entries before seq {} were not checked", self.from_seq));
        }
        Ok(())
    }
}

/// The moment as the hash was made of it. Exports show it in their time zone, always with three decimals; anything
/// else that means the same moment was not written by an export.
fn in_utc(shown: &str) -> Option<String> {
    let bytes = shown.as_bytes();
    let offset = bytes.get(23..)?;
    let with_offset = offset == b"Z" || (offset.len() == 6 && matches!(offset[0], b'+' | b'-'));
    if bytes[10] != b'T' || bytes[19] != b'.' || !with_offset {
        return None;
    }
    match Bound::parse(shown, &TimeZone::UTC)? {
        Bound::Instant(ms) => Some(instant_text(ms)),
        Bound::Day(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc_and_in_no_other_way() {
        for (shown, utc) in [
            ("2026-01-05T09:00:00.000Z", "2026-01-05T09:00:00.000Z"),
            ("2026-01-05T10:00:00.250+01:00", "2026-01-05T09:00:00.250Z"),
            ("2025-12-31T23:30:00.001-05:30", "2026-01-01T05:00:00.001Z"),
        ] {
            assert_eq!(in_utc(shown).as_deref(), Some(utc), "{shown}");
        }
        for other in [
            "",
            "2026-01-05",
            "2026-01-05T09:00:00Z",
            "2026-01-05T09:00:00.0Z",
            "2026-01-05T09:00:00.0009Z",
            "2026-01-05T09:00:00.0000009+01:00",
            "2026-01-05 09:00:00.000Z",
            "2026-01-05t09:00:00.000Z",
            "2026-01-05T09:00:00.000z",
            "2026-01-05T09:00:00.000",
            "2026-01-05T08:59:60.000Z",
            "2026-01-05T09:00:00.000+01:00[Europe/Paris]",
        ] {
            assert_eq!(in_utc(other), None, "{other}");
        }
    }
}
