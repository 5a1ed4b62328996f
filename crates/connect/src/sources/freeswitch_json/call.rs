//! The record of a leg: identity, times, parties, and every variable that has no place of its own.

use super::Settings;
use super::ends::Ends;
use super::leg::{Leg, text_of};
use super::signals::Signals;
use crate::normalise::direction::Direction;
use crate::normalise::numbers;
use crate::rows::RowProblem;
use serde_json::Value as Json;
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::value::Value;

/// Variables that the record holds in other words; all others go into `extra`.
const MAPPED: [&str; 28] = [
    "uuid",
    "call_uuid",
    "sip_call_id",
    "accountcode",
    "domain_name",
    "hangup_cause",
    "direction",
    "duration",
    "mduration",
    "uduration",
    "billsec",
    "billmsec",
    "billusec",
    "answersec",
    "answermsec",
    "answerusec",
    "start_epoch",
    "start_uepoch",
    "start_stamp",
    "answer_epoch",
    "answer_uepoch",
    "answer_stamp",
    "end_epoch",
    "end_uepoch",
    "end_stamp",
    "sip_hangup_disposition",
    "hold_accum_seconds",
    "read_codec",
];

/// The record of a leg. `announced` is the uuid in the address of the request, if any.
pub(super) fn record(
    leg: &Leg,
    announced: Option<&str>,
    settings: &Settings,
) -> Result<CallRecord<'static>, RowProblem> {
    let uuid = identity(leg, announced)?;
    let ends = Ends::of(leg, settings);
    let signals = Signals::of(leg, ends.is_a_leg);
    let outcome = if ends.forwarded { signals.outcome.forwarded() } else { signals.outcome };
    let mut record = CallRecord::new();
    put_times(&mut record, leg, signals.connected)?;

    let calling = ends.calling.map(numbers::party);
    let called = ends.called.map(numbers::party);
    let group = leg.first_of(&["call_uuid", "originating_leg_uuid", "originator"]).unwrap_or(uuid);
    let inbound = ends.direction == Direction::Inbound;
    let texts = [
        (CallField::SourceKey, Some(uuid)),
        (CallField::CallGroup, Some(group)),
        (CallField::CallId, leg.variable("sip_call_id")),
        (CallField::Leg, Some(if ends.is_a_leg { "a" } else { "b" })),
        (CallField::Direction, Some(ends.direction.word())),
        (CallField::Result, outcome.result),
        (CallField::Disposition, Some(outcome.disposition)),
        (CallField::DisconnectInitiator, signals.initiator),
        (CallField::DisconnectReason, signals.hangup_cause),
        (CallField::CallingParty, calling.as_deref()),
        (CallField::CalledParty, called.as_deref()),
        (CallField::DialledNumber, ends.called.filter(|dialled| called.as_deref() != Some(dialled))),
        (CallField::Did, called.as_deref().filter(|_| inbound)),
        (CallField::Trunk, ends.trunk),
        (CallField::Extension, ends.extension),
        (CallField::CallerName, name(leg, "caller_id_name")),
        (CallField::CalledName, name(leg, "callee_id_name")),
        (CallField::SourceNumberOut, leg.variable("effective_caller_id_number")),
        (CallField::AccountCode, leg.variable("accountcode")),
        (CallField::TenantHint, leg.variable("domain_name")),
        (CallField::Codec, leg.variable("read_codec")),
        (CallField::TimeQuality, Some("exact")),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            record.set_text(field, text.to_owned())?;
        }
    }
    for (field, number) in
        [(CallField::SipCode, signals.sip_code), (CallField::Q850Cause, signals.q850_cause)]
    {
        if let Some(number) = number {
            record.set(field, Value::Integer(number))?;
        }
    }
    if let Some(mos) = leg
        .variable("rtp_audio_in_mos")
        .and_then(|text| text.parse().ok())
        .filter(|mos: &f64| mos.is_finite())
    {
        record.set(CallField::Mos, Value::Number(mos))?;
    }
    put_extra(&mut record, leg, &signals, ends.calling.filter(|number| calling.as_deref() != Some(number)));
    Ok(record)
}

/// The leg's uuid, which must be the one that the address announces.
fn identity<'l>(leg: &'l Leg, announced: Option<&'l str>) -> Result<&'l str, RowProblem> {
    let own = leg.variable("uuid").or_else(|| leg.newest_profile("uuid"));
    match (own, announced) {
        (Some(own), Some(announced)) if !own.eq_ignore_ascii_case(announced) => {
            Err(RowProblem::new("variables.uuid differs from the uuid in the address"))
        }
        (own, announced) => own.or(announced).ok_or_else(|| RowProblem::new("variables.uuid: is required")),
    }
}

/// Times come from the counters since 1970, never from the stamps, which are local and without a zone.
fn put_times(record: &mut CallRecord<'_>, leg: &Leg, connected: bool) -> Result<(), RowProblem> {
    let start = moment(leg, "start")
        .ok_or_else(|| RowProblem::new("variables.start_uepoch: is required, in microseconds since 1970"))?;
    let answer = moment(leg, "answer").filter(|_| connected);
    let end = moment(leg, "end");
    record.set(CallField::StartAt, Value::Instant(start))?;
    let moments = [(CallField::AnswerAt, answer), (CallField::EndAt, end)];
    for (field, ms) in moments.into_iter().filter_map(|(field, ms)| Some((field, ms?))) {
        record.set(field, Value::Instant(ms))?;
    }
    let count = |name: &str| leg.number(name).filter(|count| *count >= 0);
    let talk_ms = count("billmsec");
    let talk = count("billsec")
        .or(talk_ms.map(|ms| ms / 1000))
        .or_else(|| Some(end?.checked_sub(answer?)?.max(0) / 1000))
        .filter(|_| connected);
    let ring_ms = answer.and_then(|answer| answer.checked_sub(start)).filter(|ms| *ms >= 0);
    let total =
        count("duration").or_else(|| end?.checked_sub(start).filter(|ms| *ms >= 0).map(|ms| ms / 1000));
    let counts = [
        (CallField::DurationS, Some(talk.unwrap_or(0))),
        (CallField::DurationMs, talk_ms.filter(|_| connected)),
        (CallField::TotalS, total),
        (CallField::RingS, ring_ms.map(|ms| ms / 1000)),
        (CallField::RingMs, ring_ms),
        (CallField::HoldS, count("hold_accum_seconds")),
    ];
    for (field, count) in counts.into_iter().filter_map(|(field, count)| Some((field, count?))) {
        record.set(field, Value::Integer(count))?;
    }
    Ok(())
}

/// Milliseconds of `<name>_uepoch`, or of `<name>_epoch`; 0 there means that it did not happen.
fn moment(leg: &Leg, name: &str) -> Option<i64> {
    let micros = leg.number(&format!("{name}_uepoch")).filter(|micros| *micros > 0);
    micros.map(|micros| micros / 1000).or_else(|| {
        leg.number(&format!("{name}_epoch"))
            .filter(|seconds| *seconds > 0)
            .and_then(|seconds| seconds.checked_mul(1000))
    })
}

fn name<'l>(leg: &'l Leg, variable: &str) -> Option<&'l str> {
    leg.newest_profile(variable).or_else(|| leg.variable(variable))
}

/// Every variable without a place of its own, and the object's other keys as JSON.
fn put_extra(
    record: &mut CallRecord<'static>,
    leg: &Leg,
    signals: &Signals<'_>,
    calling_as_sent: Option<&str>,
) {
    // The caller's name stands in several variables. Only `caller_name` keeps it, where the privacy rules find it.
    let caller_name = name(leg, "caller_id_name");
    for (name, value) in leg.variables() {
        let held = match name {
            _ if (name.ends_with("id_name") || name.ends_with("display")) && caller_name == Some(value) => {
                true
            }
            "hangup_cause_q850" => signals.q850_cause.is_some(),
            "duration" | "billsec" | "billmsec" | "hold_accum_seconds" => {
                value.is_empty() || leg.number(name).is_some_and(|count| count >= 0)
            }
            other => MAPPED.contains(&other),
        };
        if !held {
            record.push_extra(name.to_owned(), value.to_owned());
        }
    }
    if let Some(number) = calling_as_sent {
        record.push_extra("calling_party_as_sent", number.to_owned());
    }
    for (name, value) in leg.others() {
        record.push_extra(name.clone(), text_of(value.clone()));
    }
    if !leg.profiles().is_empty() {
        record.push_extra("callflow", Json::from(leg.profiles()).to_string());
    }
}
