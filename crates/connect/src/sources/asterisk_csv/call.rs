//! What a row says about the call: direction, outcome, parties, and where each column goes.

use super::channel::{Channel, number_dialled_through};
use super::row::Row;
use super::{Settings, columns};
use crate::normalise::direction::{Direction, Side, is_forwarded};
use crate::normalise::outcome::Outcome;
use crate::normalise::{numbers, outcome};
use crate::rows::RowProblem;
use std::borrow::Cow;
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::value::Value;

/// Applications that answer in place of a person, so that a connected row is no conversation.
const MACHINES: [&str; 16] = [
    "answer",
    "background",
    "playback",
    "read",
    "wait",
    "waitexten",
    "echo",
    "milliwatt",
    "musiconhold",
    "record",
    "directory",
    "saydigits",
    "saynumber",
    "playtones",
    "receivefax",
    "congestion",
];

/// Columns that the record holds in full and `extra` need not repeat; dates and counts are judged one by one.
const MAPPED: [&str; 4] = ["accountcode", "start", "linkedid", "sequence"];

/// The two ends of a row.
struct Ends<'r> {
    caller_channel: Option<Channel<'r>>,
    called_channel: Option<Channel<'r>>,
    caller: Side,
    called: Side,
    src: &'r str,
    dst: &'r str,
}

/// The record of a row; `keyless` makes the key when the row has none of its own.
pub(super) fn record(
    row: &Row<'_>,
    settings: &Settings,
    keyless: impl FnOnce() -> String,
) -> Result<CallRecord<'static>, RowProblem> {
    let texts: [Cow<'_, str>; columns::BASE] = std::array::from_fn(|at| row.text(at));
    let ends = Ends::of(&texts, settings);
    let direction = Direction::between(ends.caller, ends.called);
    let connected = texts[columns::DISPOSITION].eq_ignore_ascii_case("ANSWERED");
    let mut outcome = outcome_of(&texts, connected);
    if is_forwarded(ends.caller, ends.called) {
        outcome = outcome.forwarded();
    }

    let mut record = CallRecord::new();
    put_times(&mut record, row, connected)?;
    let mut put = |field, text: Option<&str>| match text {
        Some(text) => record.set_text(field, text.to_owned()),
        None => Ok(()),
    };
    put(CallField::Direction, Some(direction.word()))?;
    put(CallField::Result, outcome.result)?;
    put(CallField::Disposition, Some(outcome.disposition))?;
    let (calling, called) = (numbers::party(ends.src), numbers::party(ends.dst));
    put(CallField::CallingParty, Some(&calling))?;
    put(CallField::CalledParty, Some(&called))?;
    put(CallField::DialledNumber, Some(ends.dst).filter(|dst| *dst != called))?;
    let did = direction == Direction::Inbound && settings.lines.side_of_number(ends.dst) == Side::Outside;
    put(CallField::Did, did.then_some(&*called))?;
    put(CallField::Trunk, ends.trunk(direction))?;
    put(CallField::Extension, ends.extension(direction, settings))?;
    put(CallField::CallerName, name_of(&texts[columns::CLID]).as_deref())?;
    put(CallField::AccountCode, Some(&texts[columns::ACCOUNTCODE]))?;
    put(CallField::CallGroup, row.optional_text(row.columns.linkedid).as_deref())?;
    put(CallField::SourceSeq, row.optional_text(row.columns.sequence).as_deref())?;
    put(CallField::SourceKey, Some(&own_key(row).unwrap_or_else(keyless)))?;
    put_extra(&mut record, row, connected, ends.src != calling);
    Ok(record)
}

/// `uniqueid:linkedid:sequence`: only the three together name a row, because the sequence starts again with the PBX.
fn own_key(row: &Row<'_>) -> Option<String> {
    let part = |at| row.optional_text(at).filter(|text| !text.is_empty());
    let (uniqueid, linkedid) = (part(row.columns.uniqueid), part(row.columns.linkedid));
    let sequence = part(row.columns.sequence)?;
    let (uniqueid, linkedid) = match (uniqueid, linkedid) {
        (None, None) => return None,
        (uniqueid, linkedid) => (uniqueid.unwrap_or_default(), linkedid.unwrap_or_default()),
    };
    Some(format!("{uniqueid}:{linkedid}:{sequence}"))
}

impl<'r> Ends<'r> {
    fn of(texts: &'r [Cow<'_, str>; columns::BASE], settings: &Settings) -> Self {
        let mut ends = Self {
            caller_channel: Channel::parse(&texts[columns::CHANNEL]),
            called_channel: Channel::parse(&texts[columns::DSTCHANNEL]),
            caller: Side::Unknown,
            called: Side::Unknown,
            src: &texts[columns::SRC],
            dst: &texts[columns::DST],
        };
        ends.caller = ends.caller_side(&texts[columns::DCONTEXT], settings);
        ends.called = ends.called_side(&texts[columns::LASTDATA], settings);
        ends
    }

    /// The channel's peer first, then the context in which the call entered, then the number it shows. A `Local`
    /// channel is neither a device nor an entry, so that there only the number counts.
    fn caller_side(&self, context: &str, settings: &Settings) -> Side {
        let by_number = settings.lines.side_of_number(self.src);
        let Some(channel) = self.caller_channel.filter(|channel| channel.local_number.is_none()) else {
            return by_number;
        };
        if is_trunk(&channel, settings) {
            return Side::Outside;
        }
        if settings.lines.matches_pattern(channel.peer) {
            return Side::Inside;
        }
        if names_context(&settings.outside_contexts, context) {
            return Side::Outside;
        }
        if names_context(&settings.inside_contexts, context) || settings.lines.is_extension(channel.peer) {
            return Side::Inside;
        }
        by_number
    }

    /// The peer that was dialled, and the number that was dialled through it. Without a peer the call ended in the
    /// PBX itself, so that a number reached from outside is one of our own.
    fn called_side(&self, lastdata: &str, settings: &Settings) -> Side {
        let by_number = settings.lines.side_of_number(self.dst);
        let own_number = || if self.caller == Side::Outside { Side::Inside } else { by_number };
        let Some(channel) = self.called_channel else {
            return own_number();
        };
        if let Some(number) = channel.local_number {
            return settings.lines.side_of_number(number);
        }
        if is_trunk(&channel, settings) {
            return Side::Outside;
        }
        if settings.lines.matches_pattern(channel.peer) {
            return Side::Inside;
        }
        let through = number_dialled_through(lastdata, channel.peer);
        if through.is_some_and(|number| settings.lines.side_of_number(number) == Side::Outside) {
            return Side::Outside;
        }
        if settings.lines.is_extension(channel.peer) { Side::Inside } else { own_number() }
    }

    /// The carrier's side: of the caller for what came from outside, of the called party for what went out.
    fn trunk(&self, direction: Direction) -> Option<&'r str> {
        let channel = match direction {
            Direction::Inbound => self.caller_channel,
            Direction::Outbound => self.called_channel,
            Direction::Internal => None,
        };
        channel.map(|channel| channel.peer).filter(|peer| !peer.is_empty())
    }

    /// The inside party: who called, for what went out; who was rung, for everything else.
    fn extension(&self, direction: Direction, settings: &Settings) -> Option<&'r str> {
        let extension = |text: &'r str| Some(text).filter(|text| settings.lines.is_extension(text));
        let line = |channel: Option<Channel<'r>>| {
            channel.and_then(|channel| extension(channel.local_number.unwrap_or(channel.peer)))
        };
        // Devices need not be named like extensions; the device of an inside end is still the party.
        let device = |channel: Option<Channel<'r>>| channel.map(|c| c.peer).filter(|peer| !peer.is_empty());
        let caller =
            || line(self.caller_channel.filter(|c| c.local_number.is_none())).or_else(|| extension(self.src));
        let rung = || line(self.called_channel).or_else(|| extension(self.dst));
        match direction {
            Direction::Outbound => caller().or_else(|| device(self.caller_channel)),
            Direction::Inbound if self.called == Side::Outside => None,
            Direction::Inbound => rung().or_else(|| device(self.called_channel)),
            Direction::Internal => rung().or_else(|| device(self.called_channel)).or_else(caller),
        }
    }
}

fn is_trunk(channel: &Channel<'_>, settings: &Settings) -> bool {
    settings.lines.is_trunk(channel.peer) || settings.lines.is_trunk(channel.device)
}

fn names_context(contexts: &[String], context: &str) -> bool {
    contexts.iter().any(|name| {
        context.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn outcome_of(texts: &[Cow<'_, str>; columns::BASE], connected: bool) -> Outcome {
    let application = texts[columns::LASTAPP].to_ascii_lowercase();
    let person = !texts[columns::DSTCHANNEL].is_empty() && !MACHINES.contains(&application.as_str());
    if connected {
        return match application.as_str() {
            "voicemail" => outcome::VOICEMAIL,
            _ if person => outcome::ANSWERED,
            "queue" => outcome::ABANDONED,
            _ => outcome::UNKNOWN,
        };
    }
    match texts[columns::DISPOSITION].to_ascii_uppercase().as_str() {
        "NO ANSWER" => outcome::NO_ANSWER,
        "BUSY" => outcome::BUSY,
        "CANCEL" => outcome::ABANDONED,
        "FAILED" | "CONGESTION" => outcome::FAILED,
        _ => outcome::UNKNOWN,
    }
}

/// Rows of queue members carry an answer time (of the queue) although the member did not answer: only a row that is
/// ANSWERED has an answer and connected seconds. What the columns said stays in `extra`.
fn put_times(record: &mut CallRecord<'_>, row: &Row<'_>, connected: bool) -> Result<(), RowProblem> {
    let answer = row.answer.filter(|_| connected);
    record.set(CallField::StartAt, Value::Instant(row.start.ms))?;
    record.set(CallField::DurationS, Value::Integer(row.billsec.filter(|_| connected).unwrap_or(0)))?;
    if let Some(total) = row.duration {
        record.set(CallField::TotalS, Value::Integer(total))?;
    }
    if let Some(answer) = answer {
        record.set(CallField::AnswerAt, Value::Instant(answer.ms))?;
        if answer.ms >= row.start.ms {
            record.set(CallField::RingS, Value::Integer((answer.ms - row.start.ms) / 1000))?;
        }
    }
    if let Some(end) = row.end {
        record.set(CallField::EndAt, Value::Instant(end.ms))?;
    }
    let moments = [Some(row.start), answer, row.end];
    let quality = moments.into_iter().flatten().map(|moment| moment.quality).max();
    if let Some(quality) = quality {
        record.set_text(CallField::TimeQuality, quality.word())?;
    }
    Ok(())
}

/// Everything that the record does not hold, under Asterisk's own names. An absent value (`,,`) is left out, an empty
/// one (`"",`) is kept. Bytes that are no UTF-8 are there a second time, percent-encoded, under `<name>_bytes`.
fn put_extra(record: &mut CallRecord<'static>, row: &Row<'_>, connected: bool, src_changed: bool) {
    for (name, at) in row.named_columns() {
        if let Some(encoded) = row.encoded_bytes(at) {
            record.push_extra(format!("{name}_bytes"), encoded);
        }
        let held = match name {
            "src" => !src_changed,
            "dst" => true,
            "answer" => connected && row.answer.is_some(),
            "end" => row.end.is_some(),
            "duration" => row.duration.is_some(),
            "billsec" => row.billsec.is_some_and(|billsec| connected || billsec == 0),
            other => MAPPED.contains(&other),
        };
        if !held && row.is_present(at) {
            record.push_extra(name, row.text(at).into_owned());
        }
    }
}

/// The name in a caller id such as `"A. Person" <101>`.
fn name_of(clid: &str) -> Option<String> {
    let name = match clid.rfind('<') {
        Some(at) => clid[..at].trim_end(),
        None if clid.starts_with('"') => clid.trim_end(),
        None => return None,
    };
    let name = name.strip_prefix('"').unwrap_or(name);
    let name = name.strip_suffix('"').unwrap_or(name);
    (!name.is_empty()).then(|| name.replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_names_come_out_of_caller_ids() {
        for (clid, name) in [
            ("\"Desk 112\" <112>", Some("Desk 112")),
            ("\"\\\"Lab\" <106>", Some("\"Lab")),
            ("\"=HYPERLINK(1)\" <105>", Some("=HYPERLINK(1)")),
            ("\"a <b> c\" <105>", Some("a <b> c")),
            ("\"\" <105>", None),
            ("<105>", None),
            ("105", None),
            ("", None),
        ] {
            assert_eq!(name_of(clid).as_deref(), name, "{clid}");
        }
    }
}
