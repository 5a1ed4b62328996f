//! Settings of a tenant to be changed.

use super::duration;
use super::members::Members;
use tollbook_app::settings::SettingsChange;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;
use tollbook_model::tenant::CallerNumbers;

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
    change
}

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
    use serde_json::{Value, json};

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
            "retention": {"cdr_days": "30", "days": 1}
        }))
        .unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        let wanted = [
            "retention.days",
            "callback_secret_set",
            "caller_numbers",
            "retention.cdr_days",
            "native.file_retention",
        ];
        assert_eq!(names, wanted);
    }
}
