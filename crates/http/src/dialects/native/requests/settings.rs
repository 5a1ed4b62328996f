//! Settings of a tenant to be changed.

use super::duration;
use super::members::Members;
use crate::openapi::schemas::{meaning, number, object, or_null, text, word};
use serde_json::{Value, json};
use tollbook_app::settings::SettingsChange;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;
use tollbook_model::tenant::{CallerNumbers, TenantSettings};

/// Reads a body of settings.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn change(mut given: Members) -> Result<SettingsChange, Fault> {
    let change = settings(&mut given);
    given.finish()?;
    Ok(change)
}

/// Reads settings; what is wrong with them is noted among the members.
pub(super) fn settings(given: &mut Members) -> SettingsChange {
    let mut change = SettingsChange::default();
    let policy = given.text("caller_numbers");
    change.caller_numbers =
        given.parsed("caller_numbers", policy, caller_numbers, "must be pseudonym or plain");
    change.callback_secret = given.text_or_null("callback_secret").map(|secret| secret.map(Secret::new));
    given.within("retention", |retention| {
        change.cdr_days = retention.number("cdr_days");
        change.event_days = retention.number("event_days");
        change.audit_months = retention.number("audit_months");
    });
    given.within("native", |native| {
        let text = native.text("file_retention");
        let reason = "must be a span of time such as 36h or 7d";
        change.file_retention_s = native.parsed("file_retention", text, duration::seconds, reason);
    });
    given.judged(change.faults());
    change
}

/// What documents say of settings to be changed.
pub(crate) fn schema() -> Value {
    let days = |what| meaning(number(1..=TenantSettings::MOST_DAYS.into()), what);
    let retention = json!({
        "cdr_days": days("Days for which call records are kept. Fewer days delete older records for good."),
        "event_days": days("Days for which event records are kept."),
        "audit_months": meaning(number(1..=1200), "Months for which the audit log is kept."),
    });
    let native = json!({
        "file_retention": meaning(
            json!({"type": "string", "pattern": HOUR_TO_MONTH, "examples": ["36h", "7d"]}),
            "How long files of exports are kept, from 1h to 30d.",
        ),
    });
    let members = json!({
        "caller_numbers": meaning(
            word(&["pseudonym", "plain"]),
            "What is done with the numbers of external callers, from the next record on.",
        ),
        "callback_secret": meaning(
            or_null(text(8..=128, "^[ -~]*$")),
            "Signs callbacks; null: nothing does any more.",
        ),
        "retention": object(retention, &[]),
        "native": object(native, &[]),
    });
    object(members, &[])
}

/// A span of time from an hour to thirty days, in any unit.
const HOUR_TO_MONTH: &str = "^0*(([1-9]|[12][0-9]|30)d|([1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h|\
    ([6-9][0-9]|[1-9][0-9]{2,3}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m|\
    (3[6-9][0-9]{2}|[4-9][0-9]{3}|[1-9][0-9]{4,5}|1[0-9]{6}|2[0-4][0-9]{5}|25[0-8][0-9]{4}|259[01][0-9]{3}|2592000)s)$";

fn caller_numbers(word: &str) -> Option<CallerNumbers> {
    match word {
        "pseudonym" => Some(CallerNumbers::Pseudonym),
        "plain" => Some(CallerNumbers::Plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<SettingsChange, Fault> {
        let Value::Object(object) = value else { panic!("an object") };
        change(Members::of(object))
    }

    #[test]
    fn settings_are_read_whole() {
        let change = read(json!({
            "caller_numbers": "plain", "callback_secret": "12345678", "native": {"file_retention": "36h"},
            "retention": {"cdr_days": 30, "event_days": 31, "audit_months": 32}
        }))
        .unwrap();
        assert_eq!(change.caller_numbers, Some(CallerNumbers::Plain));
        assert_eq!(change.callback_secret.unwrap().unwrap().reveal(), "12345678");
        assert_eq!((change.cdr_days, change.event_days, change.audit_months), (Some(30), Some(31), Some(32)));
        assert_eq!(change.file_retention_s, Some(129_600));
        let cleared = read(json!({"callback_secret": null})).unwrap();
        assert!(cleared.callback_secret.is_some_and(|secret| secret.is_none()));
    }

    #[test]
    fn every_fault_is_named() {
        let fault = read(json!({
            "caller_numbers": "clear", "callback_secret_set": true, "native": {"file_retention": 7},
            "retention": {"cdr_days": "30", "days": 1, "event_days": 0}
        }))
        .unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        let wanted = [
            "retention.days",
            "callback_secret_set",
            "caller_numbers",
            "retention.cdr_days",
            "native.file_retention",
            "retention.event_days",
        ];
        assert_eq!(names, wanted);
    }
}
